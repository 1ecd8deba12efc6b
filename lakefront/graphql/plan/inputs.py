"""What an operation's arguments name: fields of input objects and values of enums, in literals and in variables.

Each literal and each variable is walked once, whatever it is used for, and only where its type leads to something that
requires a scope. Values that do not fit their type are passed over: the specification's checks tell of those.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    type_from_ast,
    value_from_ast_untyped,
)

Member = tuple[str, str]
"""The GraphQL names of a type and of one of its fields or values."""

Permission = Callable[[str, str], str | None]
"""(type name, field name) -> the scope that the field requires, or ``None`` where it declares none."""

MOST_SCHEMAS: Final = 8
"""Schemas whose input types are remembered: a process serves one, tests several."""


def in_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, values: Mapping[str, Any], permission: Permission
) -> Iterator[Member]:
    """What the variables of ``operation`` name, by their values (JSON forms) and defaults."""
    for definition in operation.variable_definitions or ():
        name, default = definition.variable.name.value, definition.default_value
        if name in values:
            yield from _members(schema, type_from_ast(schema, definition.type), values[name], permission)
        elif default is not None:
            value = value_from_ast_untyped(default)
            yield from _members(schema, type_from_ast(schema, definition.type), value, permission)


def guards(schema: GraphQLSchema, operation: OperationDefinitionNode, permission: Permission) -> bool:
    """Whether any variable of ``operation`` may name something that requires a scope."""
    guarded = _guarded(schema, permission)
    types = (type_from_ast(schema, definition.type) for definition in operation.variable_definitions or ())
    return any(type_ is not None and get_named_type(type_).name in guarded for type_ in types)


def in_arguments(
    schema: GraphQLSchema, node: FieldNode, field: GraphQLField, permission: Permission
) -> Iterator[Member]:
    """What the literals in the arguments of ``node`` name; variables in them are told by ``in_variables``."""
    for argument in node.arguments or ():
        type_ = field.args[argument.name.value].type
        if get_named_type(type_).name in _guarded(schema, permission):
            yield from _members(schema, type_, value_from_ast_untyped(argument.value), permission)


def _members(schema: GraphQLSchema, type_: Any, value: Any, permission: Permission) -> Iterator[Member]:
    guarded = _guarded(schema, permission)
    todo = [(get_named_type(type_), value)]
    while todo:
        type_, value = todo.pop()
        if type_.name not in guarded:
            continue
        if isinstance(value, list):
            todo += [(type_, item) for item in value]
        elif isinstance(type_, GraphQLEnumType) and isinstance(value, str):
            yield type_.name, value
        elif isinstance(type_, GraphQLInputObjectType) and isinstance(value, dict):
            for name, part in value.items():
                field = type_.fields.get(name)
                if field is not None:
                    yield type_.name, name
                    todo.append((get_named_type(field.type), part))


@lru_cache(maxsize=MOST_SCHEMAS)
def _guarded(schema: GraphQLSchema, permission: Permission) -> frozenset[str]:
    """The input types and enums of which a part requires a scope, however deep inside."""
    found: set[str] = set()
    inputs: dict[str, set[str]] = {}
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            inputs[type_.name] = {get_named_type(field.type).name for field in type_.fields.values()}
            members = iter(type_.fields)
        elif isinstance(type_, GraphQLEnumType):
            members = iter(type_.values)
        else:
            continue
        if any(permission(type_.name, name) is not None for name in members):
            found.add(type_.name)
    while more := {name for name, parts in inputs.items() if name not in found and parts & found}:
        found |= more
    return frozenset(found)
