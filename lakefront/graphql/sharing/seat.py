"""One subscriber's place in a group: what waits for it, and what it was given last."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lakefront.errors import Lagged
from lakefront.eventlog import cursors
from lakefront.eventlog.events import Offsets
from lakefront.graphql.answers import Answer, refused
from lakefront.graphql.operation import Operation
from lakefront.settings import MIB

if TYPE_CHECKING:
    from lakefront.graphql.sharing.group import Group, Groups

MAX_BYTES: Final = 32 * MIB
"""Bytes of payloads that may wait for one subscriber; they are in memory once for all of them."""


@dataclass(slots=True)
class Shared(Answer):
    """An answer for many: encoded once. ``forms`` keeps what the doors make of it, by what they make it for."""

    encoded: bytes = b""
    forms: dict[Any, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The answer as JSON in UTF-8."""
        return self.encoded


Outlet = Callable[["Seat"], bool]
"""Takes at once what waits at the seat, as far as its client can be written to now; false if it took nothing."""


class Seat:
    """A place at ``groups``: it is found by ``meet``, held while the subscriber catches up, and then lived on.

    At most ``buffer`` answers and ``MAX_BYTES`` wait; whoever leaves more waiting is ``LAGGED``.
    """

    def __init__(self, groups: "Groups", operation: Operation, outlet: Outlet | None, buffer: int) -> None:
        self.operation = operation
        self.outlet = outlet
        self.group: Group | None = None
        self.joined = False
        """Whether what the group tells from now on is kept for this subscriber."""
        self.live = False
        """Whether it may be given that: it is, once its own replay is over."""
        self.over = False
        self.moved = False
        """Whether it must go on in another group: its rights are others now."""
        self.given: str | None = None
        """The cursor of what was given last."""
        self.news = asyncio.Event()
        self.waiting: deque[Shared] = deque()
        self._groups = groups
        self._buffer = buffer
        self._size = 0
        self._last: Answer | None = None
        self._lagged = False
        self._clock = asyncio.get_running_loop().time
        self._given_at = self._clock()

    async def meet(self, stream: str, position: Offsets) -> Offsets | None:
        """See ``Meet``. Safe to cancel; raises what ended the group."""
        if self.joined:
            return None
        self.given = self.given or cursors.encode(stream, cursors.LAYOUT, dict(position))
        while True:
            self.group = self.group or self._groups.enter(self)
            try:
                return await self.group.admit(self, stream, position)
            except Lagged:
                # The group could not keep up. Its place is not ours; the next one begins at the head.
                self._groups.leave(self)
                self.group = None

    def offer(self, answer: Shared) -> None:
        """Keep ``answer`` for the subscriber."""
        self.waiting.append(answer)
        self._size += len(answer.encoded)
        if len(self.waiting) > self._buffer or self._size > MAX_BYTES:
            self._lagged = True
            self.end(None)
            self._drop()

    def flush(self) -> None:
        """Let the subscriber have what waits: at once where that is possible, else when its task runs."""
        if self.waiting and (not self.live or self.outlet is None or not self.outlet(self)):
            self.news.set()

    def take(self) -> Shared:
        """The next of what waits: it counts as given."""
        answer = self.waiting.popleft()
        self._size -= len(answer.encoded)
        self.given = answer.cursor
        self._given_at = self._clock()
        return answer

    def silence(self) -> float:
        """Seconds since something was given."""
        return self._clock() - self._given_at

    def told(self, cursor: str | None) -> None:
        """Note what was given besides."""
        self.given = cursor or self.given
        self._given_at = self._clock()

    def end(self, last: Answer | None) -> None:
        """Nothing more comes; ``last`` says why, after what waits."""
        self.over = True
        self._last = last
        self._groups.leave(self)
        self.news.set()

    def move(self, *, again: bool) -> None:
        """Leave at once, and forget what waits: it was made for the rights of before. ``again``: for another group."""
        self.moved = again
        self.end(None)
        self._drop()

    def last(self) -> Answer | None:
        """What is told when it is ``over``."""
        if self._lagged and self.given is not None:
            return refused(Lagged(self.given), self.operation.trace_id)
        if self._last is not None and self._last.refusal is not None:
            return refused(self._last.refusal, self.operation.trace_id)
        return self._last

    def _drop(self) -> None:
        self.waiting.clear()
        self._size = 0
