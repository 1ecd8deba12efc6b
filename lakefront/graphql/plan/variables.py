"""What the variables of a request cost to read against the schema, counted before that is done.

Reading is dear: 2 µs for an item of a list and, since absent fields cost as well, 1 µs for each field that an input
object could have: 20 µs for one empty filter. A megabyte of those would be five seconds.
"""

from collections.abc import Mapping
from typing import Any, Final

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    type_from_ast,
)

from lakefront.errors import OperationRefused

MOST_READING: Final = 40_000
"""About half microseconds each: 20,000 items of lists, 2,300 events or 1,100 conditions."""

ITEM: Final = 2
"""What an item of a list, or a member of an object, costs by itself."""


def check_variables(schema: GraphQLSchema, operation: OperationDefinitionNode, values: Mapping[str, Any]) -> None:
    """Pass if ``values`` (JSON forms, by the names of variables) are soon read; raises ``OperationRefused``.

    What a scalar of ours takes as it is (JSON) costs nothing here, whatever is in it.
    """
    left = MOST_READING
    todo: list[tuple[Any, Any]] = []
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        if name in values:
            todo.append((type_from_ast(schema, definition.type), values[name]))
    while todo:
        type_, value = todo.pop()
        while isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        if isinstance(type_, GraphQLScalarType):
            continue
        if isinstance(value, list):
            left -= ITEM * len(value)
        elif isinstance(value, dict):
            left -= ITEM * len(value) + len(getattr(type_, "fields", ()))
        if left < 0:
            raise OperationRefused(
                "The variables hold too many values to read at once. Send fewer, in several operations, or events by "
                "POST /sf-permit-events."
            )
        if isinstance(value, list):
            item = type_.of_type if isinstance(type_, GraphQLList) else type_
            todo += [(item, each) for each in value]
        elif isinstance(type_, GraphQLInputObjectType) and isinstance(value, dict):
            fields = type_.fields
            todo += [(fields[name].type, part) for name, part in value.items() if name in fields]
