"""The schema: the domains in a row. A new domain is a tables file, a types file and one entry here."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from lakefront.graphql import (
    alerts,
    benefits,
    cities,
    cost,
    geocoding,
    integrations,
    keys,
    lake,
    node,
    notices,
    open_data,
    outbox,
    permits,
    pipelines,
    rights,
    service_requests,
    tenants,
    weather,
)
from lakefront.graphql.declare.permission import guard
from lakefront.graphql.scalars import SCALARS
from lakefront.graphql.tenants import usage

DOMAINS = (
    node,
    permits,
    service_requests,
    pipelines,
    lake,
    keys,
    tenants,
    usage,
    rights,
    cities,
    integrations,
    outbox,
    geocoding,
    weather,
    open_data,
    benefits,
    notices,
    alerts,
    cost,
)
"""Each may have classes ``Query``, ``Mutation`` and ``Subscription``: their fields are the schema's root fields."""


def build_schema(domains: Iterable[Any] = DOMAINS) -> strawberry.Schema:
    """The schema of ``domains`` (modules, or whatever has the classes); raises ``TypeError`` for a name used twice."""
    return _ours() if domains is DOMAINS else _built(domains)


@cache
def _ours() -> strawberry.Schema:
    # Made once a process: making it takes a tenth of a second, and nothing changes it.
    return _built(DOMAINS)


def _built(domains: Iterable[Any]) -> strawberry.Schema:
    schema = strawberry.Schema(
        query=_root(domains, "Query", "What can be asked."),
        mutation=_root(domains, "Mutation", "What can be done."),
        subscription=_root(domains, "Subscription", "What can be followed live."),
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    return guard(schema)


def print_schema() -> str:
    """The schema in the schema definition language, as ``schema.graphql`` holds it."""
    return build_schema().as_str().rstrip() + "\n"


def _root(domains: Iterable[Any], name: str, description: str) -> Any:
    parts = tuple(getattr(domain, name) for domain in domains if hasattr(domain, name))
    if not parts:
        return None
    names = [field.python_name for part in parts for field in part.__strawberry_definition__.fields]
    if twice := {field for field in names if names.count(field) > 1}:
        raise TypeError(f"Several domains have a field {', '.join(sorted(twice))} in {name}. Give each its own name.")
    merged: Any = merge_types(name, parts)
    merged.__strawberry_definition__.description = description
    return merged
