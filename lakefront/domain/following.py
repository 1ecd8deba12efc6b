"""Follow a stream's events live (X1): replay from a cursor, then go on, nothing lost, nothing twice.

What is particular to a domain is said in two values: ``Followed``, which stream it is and what rows its events belong
to, and ``Wanted``, which of its events somebody wants.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from lakefront import tracing
from lakefront.actor import Actor
from lakefront.db.database import Row
from lakefront.db.query import Source
from lakefront.domain import reads
from lakefront.domain.services import Services
from lakefront.errors import CursorExpired, Unavailable, ValidationError
from lakefront.eventlog import cursors
from lakefront.eventlog.events import Event, Offsets, Page, reaches
from lakefront.eventlog.projections.runner import Projection

PATIENCE: Final = 5.0
"""Seconds between two looks at a projection that is behind; each is logged."""

PAUSE: Final = 0.25
"""Seconds between two attempts to read while PostgreSQL is away."""

PAGE: Final = 500
"""Events that one read of a replay asks for."""

T = TypeVar("T")

Meet = Callable[[str, Offsets], Awaitable[Offsets | None]]
"""(stream, position) -> the position up to which to read on; ``None``: what comes next is told by others."""

EARLIEST: Final = "earliest"
LATEST: Final = "latest"

MAX_HEARTBEAT: Final = 3600
"""Seconds."""


class Start(NamedTuple):
    """Where to begin (a cursor, "earliest" or "latest"; ``None`` is "latest") and how often to tell the cursor.

    With ``heartbeat`` (seconds) an arrival without an event tells it after such a silence, also when events passed that
    are not wanted. With ``greet`` it is told at once, too, so that whoever is cut off before the first event loses
    nothing. With ``marks`` it is told after every page that was read. With ``meet`` the follower ends where that says:
    it is asked from which position on others tell the events, or up to where to read on.
    """

    after: str | None = None
    heartbeat: float | None = None
    greet: bool = False
    marks: bool = False
    meet: Meet | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """What is followed: a stream, the scope that opens it, and the rows that its events belong to, if there are any.

    A row is found by its events' partition key, in ``rows``, whose key is one column. ``projection`` is what folds the
    events into them, and is waited for; ``None`` where a row is there before its event is.
    """

    stream: str
    scope: str
    rows: Source | None = None
    projection: Projection | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a follower wants: what the event, and what its row, must be; ``None`` asks nothing of it."""

    event: Callable[[Event], bool] | None = None
    row: Callable[[Row], bool] | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a follower gets; ``cursor`` goes on after it.

    ``event`` is a row of the log, None on a heartbeat; ``row`` is what it belongs to, where that was asked for.
    """

    cursor: str
    event: Row | None = None
    row: Row | None = None


async def follow(
    services: Services,
    actor: Actor,
    followed: Followed,
    start: Start,
    wanted: Wanted,
    *,
    with_row: bool = False,
) -> AsyncGenerator[list[Arrival]]:
    """The wanted events from where ``start`` says, for ever, as pages come in.

    With ``with_row`` an arrival comes once the event's row has the event in it, and carries the row. Who holds the
    scope for own rows alone gets the events of own rows alone.
    Raises ``Lagged``, ``CursorExpired``, ``ValidationError``, ``Forbidden``.
    """
    actor.require(followed.scope)
    heartbeat = start.heartbeat
    if heartbeat is not None and not 0 < heartbeat <= MAX_HEARTBEAT:
        told = {"field": "heartbeat", "message": f"Give seconds from 1 to {MAX_HEARTBEAT}, or leave it out."}
        raise ValidationError("The heartbeat is not valid.", details=[told])
    following = _Following(services, actor, followed, wanted, with_row=with_row)
    position = await _begin(services, actor, followed.stream, start.after)
    if start.greet:
        yield [following.arrival(position)]
    told_at = time.monotonic()
    replay = None if start.meet is None else _replay(services, actor, followed.stream, position, heartbeat, start.meet)
    async with _pages(replay, services.log.follow(actor, followed.stream, position, heartbeat=heartbeat)) as pages:
        async for page in pages:
            while not await once_back(partial(following.projected, page, patience=heartbeat or PATIENCE)):
                if heartbeat is not None:
                    yield [following.arrival(position)]
            kept = await once_back(partial(following.matching, page.events))
            coming = ((it.trace_id, it.ingested_at) for it in page.events if (it.shard, it.offset) in kept)
            with tracing.spans(
                "lakefront.deliver", tracing.of_recent(coming), stream=followed.stream, events=len(kept)
            ):
                arrivals = []
                for event in page.events:
                    position[event.shard] = event.offset + 1
                    if (event.shard, event.offset) in kept:
                        arrivals.append(following.arrival(position, event))
                if arrivals:
                    yield arrivals
                    told_at = time.monotonic()
            position = dict(page.position)
            if start.marks or (heartbeat is not None and time.monotonic() - told_at >= heartbeat):
                yield [following.arrival(position)]
                told_at = time.monotonic()


@asynccontextmanager
async def _pages(
    replay: AsyncGenerator[Page] | None, live: AbstractAsyncContextManager[AsyncIterable[Page]]
) -> AsyncIterator[AsyncIterable[Page]]:
    """The pages of ``replay``, or the ``live`` ones if there is none."""
    async with live if replay is None else aclosing(replay) as pages:
        yield pages


async def _replay(
    services: Services, actor: Actor, stream: str, position: Offsets, heartbeat: float | None, meet: Meet
) -> AsyncGenerator[Page]:
    """Pages from ``position`` up to where ``meet`` says; empty ones after ``heartbeat`` seconds of waiting for it."""
    while True:
        try:
            async with asyncio.timeout(heartbeat):
                until = await meet(stream, position)
        except TimeoutError:
            yield Page([], dict(position))
            continue
        if until is None:
            return
        while not reaches(position, until):
            page = await once_back(partial(services.log.read, actor, stream, position, limit=PAGE, until=until))
            position = page.position
            yield page


async def once_back(read: Callable[[], Awaitable[T]]) -> T:
    """What ``read`` gives, once PostgreSQL is there: followers wait for it, as the log's own do."""
    while True:
        try:
            return await read()
        except Unavailable:
            await asyncio.sleep(PAUSE)


class _Following:
    """What one follower wants of each page, and the rows of the page at hand."""

    def __init__(self, services: Services, actor: Actor, followed: Followed, wanted: Wanted, *, with_row: bool) -> None:
        self._services = services
        self._actor = actor
        self._followed = followed
        self._wanted = wanted
        self._own = actor.confined(followed.scope)
        self._reads = followed.rows if with_row or self._own or wanted.row is not None else None
        if self._reads is None and (self._own or wanted.row is not None):
            raise TypeError(f"{followed.stream} is followed by rows that nobody declared")
        self._rows: dict[str, Row] = {}

    async def projected(self, page: Page, *, patience: float) -> bool:
        """Wait until the rows have the page's events, at most ``patience`` seconds.

        There is no going on without: a filter on rows would let pass what it must not.
        """
        projection = self._followed.projection
        if self._reads is None or projection is None or not page.events:
            return True
        return await self._services.progress.reach(self._actor.tenant, projection, page.position, patience=patience)

    async def matching(self, events: Sequence[Event]) -> set[tuple[int, int]]:
        """(shard, offset) of the events that are wanted; where rows are needed, one statement reads them all."""
        kept = [event for event in events if self._wanted.event is None or self._wanted.event(event)]
        if kept and self._reads is not None:
            await self._read(self._reads, {event.partition_key for event in kept})
            kept = [event for event in kept if self._suits(self._rows.get(event.partition_key))]
        return {(event.shard, event.offset) for event in kept}

    async def _read(self, source: Source, keys: set[str]) -> None:
        (column,) = source.key
        found = await reads.by_keys(self._services, self._actor, source, [(key,) for key in keys])
        self._rows = {row[column]: row for row in found if row is not None}

    def _suits(self, row: Row | None) -> bool:
        """Whether events of ``row`` are wanted; ``None``: there is none, or it is somebody else's."""
        if row is None:
            return not self._own and self._wanted.row is None
        return self._wanted.row is None or self._wanted.row(row)

    def arrival(self, position: Offsets, event: Event | None = None) -> Arrival:
        """``event``, or a sign of life, told at ``position``."""
        stream = self._followed.stream
        cursor = cursors.encode(stream, cursors.LAYOUT, position)
        if event is None:
            return Arrival(cursor)
        return Arrival(cursor, event_row(self._actor.tenant, stream, event), self._rows.get(event.partition_key))


async def _begin(services: Services, actor: Actor, stream: str, after: str | None) -> dict[int, int]:
    if after == EARLIEST:
        return {}
    head = await services.log.head(actor, stream)
    if after is None or after == LATEST:
        return head
    offsets = cursors.decode(stream, after).offsets
    if any(offset > head.get(shard, 0) for shard, offset in offsets.items()):
        raise CursorExpired(
            cursors.encode(stream, cursors.LAYOUT, head),
            "This cursor lies past the end of the log: was the database restored? Read it anew.",
        )
    return offsets


def event_row(tenant: str, stream: str, event: Event) -> Row:
    """``event`` as a row of the table ``events`` comes from PostgreSQL: column -> JSON form."""
    return {
        "tenant_id": tenant,
        "stream": stream,
        "shard": event.shard,
        "offset": event.offset,
        "event_id": event.event_id,
        "event_type": event.event_type,
        "partition_key": event.partition_key,
        "occurred_at": _moment(event.occurred_at),
        "ingested_at": _moment(event.ingested_at),
        "payload": event.payload,
        "trace_id": event.trace_id,
        "correlation_id": event.correlation_id,
        "schema_version": event.schema_version,
        "source": event.source,
    }


def _moment(value: datetime) -> Any:
    """PostgreSQL's JSON text of a timestamp: UTC, the fraction without trailing zeros."""
    text = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    fraction = f"{value.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}+00:00" if fraction else f"{text}+00:00"
