"""What an operation's fields require of the actor: default deny, queries and subscriptions included.

One walk over the operation, each fragment once. The (valid) document is all that counts: fields behind ``@skip`` and
``@include`` do as well, since a decision about a document must not hang on its variables.
"""

from collections.abc import Callable, Iterator
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

Permission = Callable[[str, str], str | None]
"""(type name, field name) -> the scope that the field requires, or ``None`` where it declares none."""

OPEN: Final = frozenset({"__typename", "__schema", "__type"})
"""Introspection: the schema is public to whoever holds a token."""


def authorise(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    actor: Actor,
    permission: Permission,
    *,
    nulls: bool = False,
) -> None:
    """Pass if ``actor`` holds the scope of every field that the operation names and that requires one.

    With ``nulls`` a field below the roots passes where it may be null: it is null then, with an error at its path.
    Raises ``Forbidden`` for a missing scope and for a root field without one (default deny), ``BadRequest`` for a kind
    of operation that the schema does not have, or without any field.
    """
    root = schema.get_root_type(operation.operation)
    if root is None:
        raise BadRequest(f"This schema has no {operation.operation.value} operations.")
    named = dict(_fields(schema, document, operation, root))
    if not named:
        raise BadRequest("The operation selects no field. Select at least one.")
    for (type_name, name), field in named.items():
        scope = permission(type_name, name)
        if type_name == root.name:
            if scope is not None:
                actor.require(scope)
            elif name not in OPEN:
                raise Forbidden(f"The field '{type_name}.{name}' is open to nobody: it declares no scope.")
        elif scope is not None and not actor.holds(scope):
            if nulls and field is not None and not is_non_null_type(field.type):
                continue
            told = f"The field '{type_name}.{name}' needs the scope '{scope}'."
            raise Forbidden(f"{told} Leave it out, or ask for a token with a role that has it.", scope=scope)


def _fields(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, root: Any
) -> Iterator[tuple[tuple[str, str], GraphQLField | None]]:
    """((type name, field name), the field) of everything that is selected, what is inside introspection aside."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    todo: list[tuple[Any, Any]] = [(operation.selection_set, root)]
    while todo:
        selections, type_ = todo.pop()
        for node in selections.selections:
            if isinstance(node, FieldNode):
                name = node.name.value
                field = getattr(type_, "fields", {}).get(name)
                yield (type_.name, name), field
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
