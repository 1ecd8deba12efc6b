"""An operation between its preparation and its end."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from graphql import DocumentNode, OperationDefinitionNode, OperationType

from lakefront import tracing
from lakefront.actor import Actor
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.following import Following
from lakefront.graphql.plan.plan import Planned

MAX_NAME: Final = 100
"""Characters of an operation's name that a trace keeps."""


@dataclass(slots=True)
class Operation:
    """An operation that may run: read, within the limits, valid, and allowed to its actor."""

    planned: Planned
    actor: Actor
    trace_id: str
    following: Following

    @property
    def document(self) -> DocumentNode:
        """The document that holds it."""
        return self.planned.plan.document

    @property
    def node(self) -> OperationDefinitionNode:
        """Its definition."""
        return self.planned.plan.operation

    @property
    def request(self) -> OperationRequest:
        """What the client asked."""
        return self.planned.request

    @property
    def kind(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.node.operation

    def traced(self) -> AbstractContextManager[tracing.Span]:
        """The operation as a span: its type and name, and nothing of what it asks."""
        name = self.node.name.value[:MAX_NAME] if self.node.name else ""
        return tracing.span("lakefront.graphql", self.trace_id, type=self.kind.value, operation=name)
