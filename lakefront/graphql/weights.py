"""What fields cost: declared where a field is, shown in the schema as ``@cost`` and ``@listSize`` (ADR 0022).

The words are those of https://ibm.github.io/graphql-specs/cost-spec.html, so that gateways and linters can read them.
One unit is what one value costs to read, encode and send: a quarter of a microsecond of CPU to a whole one.
"""

from typing import Any, Final, NamedTuple

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, get_named_type, is_leaf_type
from strawberry import UNSET
from strawberry.schema_directive import Location

DEFINITION: Final = "strawberry-definition"
"""Where Strawberry keeps its own definition of a field, in the extensions of graphql-core's."""

VALUE: Final = 1
"""A scalar or an enum, be it a list of them."""
OBJECT: Final = 1
"""An object, once for each row that has it."""
COUNT: Final = 100
"""A count over a whole table, as ``totalCount`` is."""
GROUPS: Final = 1000
"""Aggregates over a whole table."""
OUTSIDE: Final = 1000
"""A call to another system: adapters declare it."""
MUTATION: Final = 10
"""A mutation, over what it gives."""
SCHEMA: Final = 10_000
"""``__schema``, whatever is selected in it; the customary introspection takes some 50 ms of CPU."""
TYPE: Final = 100
"""``__type``, whatever is selected in it."""

ASSUMED: Final = 10
"""Rows of a list of objects that says nothing about its size."""


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION], description="What the field costs, once for each object that has it."
)
class Cost:
    """The declaration of a weight; a text in the schema, as the cost specification has it."""

    weight: str


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description="How long the list is taken to be: as long as the arguments say, else assumedSize.",
)
class ListSize:
    """The declaration of a list's size; an argument that is a list stands for its length."""

    assumed_size: int | None = UNSET
    slicing_arguments: list[str] | None = UNSET


def directives(weight: int | None = None, size: int | None = None, sized_by: str | None = None) -> tuple[object, ...]:
    """The directives of a field that costs ``weight``, and whose list has some ``size`` rows.

    Or it has as many as the argument ``sized_by`` (its GraphQL name) says. Raises ``ValueError`` for what cannot be.
    """
    if (weight or 0) < 0 or (size is not None and size < 1):
        raise ValueError("A weight is a number from 0 on, a size from 1 on.")
    if size is not None and sized_by is not None:
        raise ValueError("Either size or sized_by says how long a list is.")
    made: list[object] = [] if weight is None else [Cost(weight=str(weight))]
    if size is not None:
        made.append(ListSize(assumed_size=size))
    if sized_by is not None:
        made.append(ListSize(slicing_arguments=[sized_by]))
    return tuple(made)


def weight_of(schema: GraphQLSchema, parent: GraphQLObjectType, name: str, field: GraphQLField) -> int:
    """What ``parent.name`` costs each time it stands in an answer: as declared, else by its type."""
    if parent is schema.query_type and name == "__schema":
        return SCHEMA
    if parent is schema.query_type and name == "__type":
        return TYPE
    declared = _declared(field, Cost)
    if declared is not None:
        return int(declared.weight)
    own = VALUE if is_leaf_type(get_named_type(field.type)) else OBJECT
    return own + MUTATION if parent is schema.mutation_type else own


class Declared(NamedTuple):
    """What a field says of its list: rows that it is taken to have, or the arguments that say how many."""

    assumed: int | None
    arguments: tuple[str, ...]


def list_size_of(field: GraphQLField) -> Declared | None:
    """What the field declares of its list's size, if anything."""
    found = _declared(field, ListSize)
    return Declared(found.assumed_size or None, tuple(found.slicing_arguments or ())) if found is not None else None


def _declared(field: GraphQLField, kind: type[Any]) -> Any:
    definition = field.extensions.get(DEFINITION)
    return next((found for found in getattr(definition, "directives", ()) if isinstance(found, kind)), None)
