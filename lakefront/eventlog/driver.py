"""The log's interface: what every driver (PostgreSQL now, Kafka later) promises; a contract suite holds all to it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from lakefront.actor import Actor
from lakefront.eventlog.events import Appended, NewEvent, Offsets, Page


class Follower(Protocol):
    """A live reader: an async iterator of pages, in order, without gap or double."""

    def __aiter__(self) -> AsyncIterator[Page]:
        """Pages as they come; a page may be empty (nothing new within ``heartbeat`` seconds).

        Raises ``Lagged`` when the reader fell behind by more than the buffer.
        """
        ...


class EventLog(Protocol):
    """An append-only log: (tenant, stream, shard) -> offset -> event; offsets are gapless and in commit order."""

    async def append(
        self, actor: Actor, stream: str, events: Sequence[NewEvent], *, atomic: bool = False
    ) -> list[Appended]:
        """Append ``events`` and return one verdict each, in their order, once all of it is durable.

        A retry is a ``DUPLICATE`` with its first position; the same id with another body a ``CONFLICT``. With
        ``atomic`` a conflict keeps all new ones out (they are then ``REJECTED``). Raises ``Unavailable`` when the log
        is away: what was not acknowledged may or may not be in it, and sending it again is safe. Raises
        ``ValidationError`` on an event that the log cannot hold; other callers' events are not touched by it.
        """
        ...

    async def preview(self, actor: Actor, stream: str, events: Sequence[NewEvent]) -> list[Appended]:
        """The verdicts that ``append`` would give now, without appending; an ``ACCEPTED`` one has the offset -1."""
        ...

    async def read(
        self, actor: Actor, stream: str, after: Offsets, *, limit: int = 1000, until: Offsets | None = None
    ) -> Page:
        """At most ``limit`` events from position ``after`` on, and before ``until`` (the end when left out).

        Only an empty page means that there is no more.
        """
        ...

    async def head(self, actor: Actor, stream: str) -> dict[int, int]:
        """The position after the last event: shard -> next offset; empty for a stream that has no event yet."""
        ...

    def follow(
        self, actor: Actor, stream: str, after: Offsets | None, *, heartbeat: float | None = None
    ) -> AbstractAsyncContextManager[Follower]:
        """Replay from ``after`` (``None``: from now on), then go on live.

        ``heartbeat`` in seconds: yield an empty page after such a silence. Raises ``CursorExpired`` on a position
        beyond the end, and when it is entered ``Unavailable`` if the log is away; later it waits for it.
        """
        ...
