"""What an operation's fields require of the actor: default deny, queries and subscriptions included.

One walk over the operation, each fragment once. Fields behind ``@skip`` and ``@include`` count as well. So does what
arguments name, in literals and in variables: who may not see a field may not filter, order or group by it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    get_named_type,
    is_non_null_type,
)

from lakefront.actor import Actor
from lakefront.errors import BadRequest, Forbidden
from lakefront.graphql.plan.inputs import Member, Permission, in_arguments, in_variables

OPEN: Final = frozenset({"__typename", "__schema", "__type"})
"""Introspection: the schema is public to whoever holds a token."""


def authorise(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    actor: Actor,
    permission: Permission,
    *,
    variables: Mapping[str, Any],
    nulls: bool = False,
) -> None:
    """Pass if ``actor`` may run the operation with these variables: the two below, one after the other."""
    authorise_document(schema, document, operation, actor, permission, nulls=nulls)
    authorise_variables(schema, operation, actor, permission, variables)


def authorise_document(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    actor: Actor,
    permission: Permission,
    *,
    nulls: bool = False,
) -> frozenset[str]:
    """The scopes that the operation's fields require, all of which ``actor`` holds.

    Fields of input objects and values of enums in literals count like fields. With ``nulls`` a field below the roots
    passes where it may be null: it is null then, with an error at its path. Raises ``Forbidden`` for a missing scope
    and for a root field without one (default deny), ``BadRequest`` for a kind of operation that the schema does not
    have, or without any field.
    """
    root = schema.get_root_type(operation.operation)
    if root is None:
        raise BadRequest(f"This schema has no {operation.operation.value} operations.")
    named = dict(_fields(schema, document, operation, root, permission))
    if not named:
        raise BadRequest("The operation selects no field. Select at least one.")
    scopes = set()
    for (type_name, name), field in named.items():
        scope = permission(type_name, name)
        if scope is not None:
            scopes.add(scope)
        if type_name == root.name:
            if scope is not None and not actor.holds(scope):
                raise _missing(type_name, name, scope)
            if scope is None and name not in OPEN:
                raise Forbidden(f"The field '{type_name}.{name}' is open to nobody: it declares no scope.")
        elif scope is not None and not actor.holds(scope):
            if nulls and field is not None and not is_non_null_type(field.type):
                continue
            raise _missing(type_name, name, scope)
    return frozenset(scopes)


def authorise_variables(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    actor: Actor,
    permission: Permission,
    variables: Mapping[str, Any],
) -> None:
    """Pass if ``actor`` holds what the variables, as the client sent them, name; raises ``Forbidden``."""
    for type_name, name in in_variables(schema, operation, variables, permission):
        scope = permission(type_name, name)
        if scope is not None and not actor.holds(scope):
            raise _missing(type_name, name, scope)


def _missing(type_name: str, name: str, scope: str) -> Forbidden:
    needs, field = f"needs the scope '{scope}'.", f"{type_name}.{name}"
    return Forbidden(
        f"The field '{field}' {needs} Leave it out, or ask for a token with a role that has it.",
        scope=scope,
        details=[{"field": field, "message": f"This {needs}"}],
    )


def _fields(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, root: Any, permission: Permission
) -> Iterator[tuple[Member, GraphQLField | None]]:
    """((type name, field name), the field) of everything that is selected, what is inside introspection aside.

    What an argument names comes with ``None``: there is no field that could be null.
    """
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    todo: list[tuple[Any, Any]] = [(operation.selection_set, root)]
    while todo:
        selections, type_ = todo.pop()
        for node in selections.selections:
            if isinstance(node, FieldNode):
                name = node.name.value
                field = getattr(type_, "fields", {}).get(name)
                yield (type_.name, name), field
                if node.arguments and field is not None:
                    yield from ((member, None) for member in in_arguments(schema, node, field, permission))
                if node.selection_set and field is not None:
                    todo.append((node.selection_set, get_named_type(field.type)))
            elif isinstance(node, InlineFragmentNode):
                on = node.type_condition
                todo.append((node.selection_set, schema.type_map[on.name.value] if on else type_))
            else:
                fragment = fragments.pop(node.name.value, None)
                if fragment is not None:
                    on = fragment.type_condition
                    todo.append((fragment.selection_set, schema.type_map[on.name.value]))
