"""How a subscription is followed: what its document asks for, and what the door that carries it needs besides (X1).

A field begins with ``info.context.following.start(after, heartbeat)`` and yields deliveries. With that it is resumable
over every door: the door learns the cursor of each delivery whatever the document selects, and may say where to go on.
A field that hands this ``Start`` on to ``domain.following`` is shared, too: it replays up to where a group of equal
subscriptions stands, and ends there (``lakefront.graphql.sharing``).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

import strawberry

from lakefront.domain.following import LATEST, Meet, Start

After = Annotated[
    str | None,
    strawberry.argument(description='Replay from this cursor or from "earliest"; "latest", or left out: from now on.'),
]
"""The argument ``after`` of a subscription that can be resumed."""

Heartbeat = Annotated[
    int | None,
    strawberry.argument(description="Seconds of silence after which a message without event tells the cursor."),
]
"""Its argument ``heartbeat``."""


@runtime_checkable
class Delivery(Protocol):
    """What a resumable subscription yields: where it stands, and an event, which a heartbeat has none of."""

    cursor: str
    event: Any


D = TypeVar("D")


def together(deliveries: Iterable[D]) -> Iterator[D]:
    """Each of ``deliveries``, which come one right after the other; those that do so are in the ``coming`` of each.

    What is related to them is then read at once (``plan.live_run``).
    """
    coming = deque(deliveries)
    while coming:
        delivery: Any = coming.popleft()
        delivery.coming = coming
        yield delivery


class Following:
    """One operation's agreement between the document and the door."""

    def __init__(self, *, resume_after: str | None = None, heartbeat: float | None = None) -> None:
        """``resume_after``: the cursor after which the client wants to go on, over whatever the document says.

        ``heartbeat``: seconds of silence after which the door wants to know the cursor.
        """
        self.resume_after = resume_after
        self.meet: Meet | None = None
        """Where equal subscriptions meet, if they may."""
        self.every = heartbeat
        """Seconds of silence after which the cursor is told; what holds is known once the field has begun."""
        self._heartbeat = heartbeat
        self._asked = False

    @property
    def asked(self) -> bool:
        """Whether the client asked for heartbeats itself: it gets them as its document says."""
        return self._asked

    def start(self, after: str | None, heartbeat: float | None) -> Start:
        """What holds, for a field with these arguments: the client's heartbeat goes before the door's."""
        self._asked = heartbeat is not None
        self.every = heartbeat if self._asked else self._heartbeat
        greet = self._heartbeat is not None
        return Start(self.resume_after or after, self.every, greet, meet=self.meet)

    def hides(self, payload: object) -> bool:
        """Whether ``payload`` is a heartbeat that the door asked for, and the client did not."""
        return not self._asked and isinstance(payload, Delivery) and payload.event is None


class Tail(Following):
    """What a group of equal subscriptions follows: all from now on, with a mark after every page."""

    mark: Any = None
    """The latest mark: a delivery without an event that says where the group stands."""

    def start(self, after: str | None, heartbeat: float | None) -> Start:
        """Whatever the document of the group's first member said: members replay by themselves."""
        del after, heartbeat
        return Start(LATEST, greet=True, marks=True)

    def hides(self, payload: object) -> bool:
        """Marks are not executed; the latest is kept for those who want a heartbeat."""
        if isinstance(payload, Delivery) and payload.event is None:
            self.mark = payload
            return True
        return False
