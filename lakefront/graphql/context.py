"""What resolvers of one operation share."""

from dataclasses import dataclass
from typing import Self

import strawberry

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.graphql.following import Following
from lakefront.loaders import Loaders


@dataclass(frozen=True, slots=True)
class Context:
    """Made for each operation and each event of a subscription: loaders remember what they read, as their actor."""

    services: Services
    actor: Actor
    trace_id: str
    loaders: Loaders
    following: Following

    @classmethod
    def for_operation(cls, services: Services, actor: Actor, trace_id: str, following: Following) -> Self:
        """A context with fresh loaders; ``following`` is one object for all events of a subscription."""
        return cls(services, actor, trace_id, Loaders(services, actor), following)


Info = strawberry.Info[Context, None]
"""What a hand-written resolver takes to reach the context."""
