"""Root fields with a rate limit of their own (L16): declared at the field, shown in the schema as ``@rateLimit``."""

import re
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
)
from strawberry.schema_directive import Location

from lakefront.settings import RATE


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description="How often one user or key may use the field, beside what holds for all requests.",
)
class RateLimit:
    """The declaration at a field; ``limit`` is a rate like ``10/minute``."""

    limit: str

    def __post_init__(self) -> None:
        """Raises ``ValueError`` for what is no rate."""
        if re.fullmatch(RATE, self.limit) is None:
            raise ValueError(f"'{self.limit}' is no rate. Write a number and a time: 10/minute, 5/hour")


def rate_limits(schema: strawberry.Schema) -> dict[str, str]:
    """The rates of the root fields that have their own, by the field's name.

    Raises ``ValueError`` for a limit on a field that is not a root field: it would not be looked at.
    """
    core = schema._schema  # noqa: SLF001 - graphql-core's schema, to which Strawberry gives no public name
    roots = {root.name for root in (core.query_type, core.mutation_type, core.subscription_type) if root is not None}
    found: dict[str, str] = {}
    for name in core.type_map:
        definition: Any = schema.get_type_by_name(name)
        for field in getattr(definition, "fields", ()):
            for directive in getattr(field, "directives", ()):
                if isinstance(directive, RateLimit):
                    if name not in roots:
                        raise ValueError(f"{name}.{field.python_name} is no root field: it cannot have a rate limit.")
                    found[schema.config.name_converter.from_field(field)] = directive.limit
    return found


def root_fields(document: DocumentNode, operation: OperationDefinitionNode) -> set[tuple[str, str]]:
    """(name, response name) of the (valid) operation's root fields; of one response name they are one, as merged.

    Fields behind ``@skip`` and ``@include`` count as well, as they do for rights.
    """
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    found: set[tuple[str, str]] = set()
    seen: set[str] = set()
    todo = [operation.selection_set]
    while todo:
        for node in todo.pop().selections:
            if isinstance(node, FieldNode):
                found.add((node.name.value, (node.alias or node.name).value))
            elif isinstance(node, InlineFragmentNode):
                todo.append(node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                todo.append(fragments[node.name.value].selection_set)
    return found
