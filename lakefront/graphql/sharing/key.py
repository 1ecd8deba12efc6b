"""The share key: who asks for the same, and may see the same, is told the same bytes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from graphql import FieldNode, OperationDefinitionNode, VariableNode
from graphql.language import Visitor, visit

from lakefront.actor import Actor, Kind
from lakefront.graphql.extensions import asked_of
from lakefront.graphql.operation import Operation

RESUMING: Final = frozenset({"after", "heartbeat"})
"""Arguments of a root field that say where a subscriber begins and how often it hears that nothing happened."""

ShareKey = tuple[Actor, str, str | None, bytes]
"""(who asks, as far as it matters; document, operation name; variables and our extensions in canonical JSON)."""


def share_key(operation: Operation) -> ShareKey:
    """What must be equal for two subscriptions to be one; the schema is, within one server's groups."""
    request = operation.request
    resuming = set(_resuming(operation))
    variables = {name: value for name, value in request.variables.items() if name not in resuming}
    # Not orjson, which refuses integers past 64 bits.
    asked = json.dumps([variables, sorted(asked_of(request))], sort_keys=True, default=str).encode()
    return group_actor(operation), request.document, request.operation_name, asked


def group_actor(operation: Operation) -> Actor:
    """The operation's actor as a group knows it: tenant and permissions, and the subject where own rows are selected.

    Nothing that a group executes can depend on more than that: there is nobody else in it.
    """
    actor, plan = operation.actor, operation.planned.plan
    named = actor.own if plan.guarded else plan.permissions
    row_scope = actor.subject if any(actor.confined(scope) for scope in named) else ""
    return replace(actor, subject=row_scope, expires_at=None, kind=Kind.SERVICE, roles=frozenset(), on_behalf_of=None)


def _resuming(operation: Operation) -> Iterator[str]:
    """The variables that say where to begin, and nothing else."""
    uses = _Uses()
    visit(operation.document, uses)
    for name in _in_resuming_arguments(operation.node):
        if uses.counted.get(name) == 1:
            yield name


def _in_resuming_arguments(node: OperationDefinitionNode) -> Iterator[str]:
    for field in node.selection_set.selections:
        for argument in (field.arguments or ()) if isinstance(field, FieldNode) else ():
            if argument.name.value in RESUMING and isinstance(argument.value, VariableNode):
                yield argument.value.name.value


class _Uses(Visitor):
    """How often each variable is used, its definition aside."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: dict[str, int] = {}

    def enter_variable(self, node: VariableNode, key: Any, *_: Any) -> None:
        if key != "variable":
            self.counted[node.name.value] = self.counted.get(node.name.value, 0) + 1
