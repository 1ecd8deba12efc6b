"""What an operation's root fields require of the actor: default deny, queries and subscriptions included."""

from collections.abc import Callable, Iterator
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
)

from lakefront.actor import Actor
from lakefront.errors import BadRequest, Forbidden

Permission = Callable[[str, str], str | None]
"""(type name, field name) -> the scope that the field requires, or ``None`` where nobody declared one."""

OPEN: Final = frozenset({"__typename", "__schema", "__type"})
"""Introspection: the schema is public to whoever holds a token."""


def authorise(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    actor: Actor,
    permission: Permission,
) -> None:
    """Pass if ``actor`` holds the scope of every root field that the (valid) operation names.

    Fields behind ``@skip`` and ``@include`` count as well: a decision about a document must not hang on its variables.
    Raises ``Forbidden`` for a missing scope and for a field without one (default deny), ``BadRequest`` for a kind of
    operation that the schema does not have, or without any field.
    """
    root = schema.get_root_type(operation.operation)
    if root is None:
        raise BadRequest(f"This schema has no {operation.operation.value} operations.")
    names = set(root_fields(document, operation))
    if not names:
        raise BadRequest("The operation selects no field. Select at least one.")
    for name in sorted(names - OPEN):
        scope = permission(root.name, name)
        if scope is None:
            raise Forbidden(f"The field '{root.name}.{name}' is open to nobody: it declares no scope.")
        actor.require(scope)


def root_fields(document: DocumentNode, operation: OperationDefinitionNode) -> Iterator[str]:
    """Names of the operation's root fields, through fragments; each fragment is looked at once."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    seen: set[str] = set()
    todo = [operation.selection_set]
    while todo:
        for node in todo.pop().selections:
            if isinstance(node, FieldNode):
                yield node.name.value
            elif isinstance(node, InlineFragmentNode):
                todo.append(node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                fragment = fragments.get(node.name.value)
                if fragment is not None:
                    todo.append(fragment.selection_set)
