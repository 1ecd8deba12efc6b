"""The schema: the domains in a row. A new domain is a tables file, a types file and one entry here."""

from collections.abc import Iterator
from types import ModuleType

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from lakefront.graphql import node, permits
from lakefront.graphql.scalars import SCALARS

DOMAINS = (node, permits)
"""Each may have classes ``Query``, ``Mutation`` and ``Subscription``: their fields are the schema's root fields."""


def build_schema() -> strawberry.Schema:
    """The schema of all domains."""
    return strawberry.Schema(
        query=_root("Query", "What can be asked."),
        mutation=_root("Mutation", "What can be done."),
        subscription=_root("Subscription", "What can be followed live."),
        config=StrawberryConfig(scalar_map=SCALARS),
    )


def print_schema() -> str:
    """The schema in the schema definition language, as ``schema.graphql`` holds it."""
    return build_schema().as_str().rstrip() + "\n"


def _root(name: str, description: str) -> type:
    merged = merge_types(name, tuple(_parts(DOMAINS, name)))
    merged.__strawberry_definition__.description = description  # type: ignore[attr-defined]  # Strawberry's own
    return merged


def _parts(domains: tuple[ModuleType, ...], name: str) -> Iterator[type]:
    for domain in domains:
        if hasattr(domain, name):
            yield getattr(domain, name)
