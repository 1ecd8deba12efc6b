"""What resolvers of one operation share."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import strawberry

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.graphql.following import Following
from lakefront.loaders import Loaders

if TYPE_CHECKING:
    from lakefront.graphql.plan.planner import Planner


@dataclass(frozen=True, slots=True)
class Context:
    """Made for each operation and each event of a subscription: loaders remember what they read, as their actor."""

    services: Services
    actor: Actor
    trace_id: str
    loaders: Loaders
    following: Following
    planner: "Planner"
    planning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by a resolver that plans: one at a time."""

    @classmethod
    def for_operation(
        cls, services: Services, actor: Actor, trace_id: str, following: Following, planner: "Planner"
    ) -> Self:
        """A context with fresh loaders; ``following`` is one object for all events of a subscription."""
        return cls(services, actor, trace_id, Loaders(services, actor), following, planner)


Info = strawberry.Info[Context, None]
"""What a hand-written resolver takes to reach the context."""
