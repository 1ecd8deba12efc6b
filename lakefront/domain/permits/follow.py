"""Follow permit events live (X1): replay from a cursor, then go on, nothing lost, nothing twice."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from lakefront import tracing
from lakefront.actor import PERMITS_READ, Actor
from lakefront.db.database import Row
from lakefront.db.query import Source
from lakefront.domain import reads
from lakefront.domain.services import Services
from lakefront.errors import CursorExpired, Unavailable, ValidationError
from lakefront.eventlog import cursors
from lakefront.eventlog.events import Event, Offsets, Page, reaches
from lakefront.eventlog.projections.permits import PERMITS, STREAM

PATIENCE = 5.0
"""Seconds between two looks at a projection that is behind; each is logged."""

PAUSE = 0.25
"""Seconds between two attempts to read while PostgreSQL is away."""

PAGE = 500
"""Events that one read of a replay asks for."""

T = TypeVar("T")

Meet = Callable[[str, Offsets], Awaitable[Offsets | None]]
"""(stream, position) -> the position up to which to read; ``None``: what comes next is told by others."""

EARLIEST = "earliest"
LATEST = "latest"

MOST_WANTED = 1000
"""Items that one list of a filter may have."""

MAX_HEARTBEAT = 3600


@dataclass(frozen=True, slots=True)
class PermitEventNotice:
    """What a follower gets; ``cursor`` goes on after it.

    ``event`` is a row of the log, None on a heartbeat; ``permit`` is the permit's row, where that was asked for.
    """

    cursor: str
    event: Row | None = None
    permit: Row | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a follower wants; None means any."""

    permit_ids: Collection[str] | None = None
    event_types: Collection[str] | None = None
    neighborhoods: Collection[str] | None = None

    def check(self) -> None:
        """Raise ``ValidationError`` for an empty or an endless list: it would mean nothing, or all."""
        lists = {
            "permitIds": self.permit_ids,
            "eventTypes": self.event_types,
            "neighborhoods": self.neighborhoods,
        }
        for name, items in lists.items():
            if items is not None and not 0 < len(items) <= MOST_WANTED:
                told = {"field": f"filter.{name}", "message": f"List 1 to {MOST_WANTED} items, or leave it out."}
                raise ValidationError("The filter is not valid. See details.", details=[told])


async def follow(
    services: Services,
    actor: Actor,
    permits: Source,
    *,
    permit_ids: Collection[str] | None = None,
    event_types: Collection[str] | None = None,
    neighborhoods: Collection[str] | None = None,
    after: str | None = None,
    heartbeat: float | None = None,
    greet: bool = False,
    marks: bool = False,
    with_permit: bool = False,
    meet: Meet | None = None,
) -> AsyncGenerator[list[PermitEventNotice]]:
    """The events from ``after`` on (a cursor, "earliest" or "latest"; None is "latest"), for ever, as pages come in.

    With ``heartbeat`` (seconds) a notice without an event tells the cursor after such a silence, also when events
    passed that the filter does not want. With ``greet`` the first notice tells at once where it begins, so
    that whoever is cut off before the first event loses nothing, and with ``marks`` one ends every page. With
    ``with_permit`` a notice comes once the permit's row (of ``permits``) has its event in it, and carries the row. With
    ``meet`` it ends where that says: it is asked from which position on others tell the events, or up to where to read
    on.
    Raises ``Lagged``, ``CursorExpired``, ``ValidationError``, ``Forbidden``.
    """
    actor.require(PERMITS_READ)
    wanted = Wanted(permit_ids, event_types, neighborhoods)
    wanted.check()
    if heartbeat is not None and not 0 < heartbeat <= MAX_HEARTBEAT:
        told = {"field": "heartbeat", "message": f"Give seconds from 1 to {MAX_HEARTBEAT}, or leave it out."}
        raise ValidationError("The heartbeat is not valid.", details=[told])
    position = await _start(services, actor, after)
    if greet:
        yield [PermitEventNotice(_cursor(position))]
    following = _Following(services, actor, wanted, permits if with_permit or neighborhoods is not None else None)
    told_at = time.monotonic()
    replay = None if meet is None else _replay(services, actor, position, heartbeat, meet)
    async with _pages(replay, services.log.follow(actor, STREAM, position, heartbeat=heartbeat)) as pages:
        async for page in pages:
            while not await _once_back(partial(following.projected, page, patience=heartbeat or PATIENCE)):
                if heartbeat is not None:
                    yield [PermitEventNotice(_cursor(position))]
            kept = await _once_back(partial(following.matching, page.events))
            arrived = ((it.trace_id, it.ingested_at) for it in page.events if (it.shard, it.offset) in kept)
            with tracing.spans("lakefront.deliver", tracing.of_recent(arrived), stream=STREAM, events=len(kept)):
                notices = []
                for event in page.events:
                    position[event.shard] = event.offset + 1
                    if (event.shard, event.offset) in kept:
                        row = following.rows.get(event.partition_key)
                        notices.append(PermitEventNotice(_cursor(position), event_row(actor.tenant, event), row))
                if notices:
                    yield notices
                    told_at = time.monotonic()
            position = dict(page.position)
            if marks or (heartbeat is not None and time.monotonic() - told_at >= heartbeat):
                yield [PermitEventNotice(_cursor(position))]
                told_at = time.monotonic()


@asynccontextmanager
async def _pages(
    replay: AsyncGenerator[Page] | None, live: AbstractAsyncContextManager[AsyncIterable[Page]]
) -> AsyncIterator[AsyncIterable[Page]]:
    """The pages of ``replay``, or the ``live`` ones if there is none."""
    async with live if replay is None else aclosing(replay) as pages:
        yield pages


async def _replay(
    services: Services, actor: Actor, position: Offsets, heartbeat: float | None, meet: Meet
) -> AsyncGenerator[Page]:
    """Pages from ``position`` up to where ``meet`` says; empty ones after ``heartbeat`` seconds of waiting for it."""
    while True:
        try:
            async with asyncio.timeout(heartbeat):
                until = await meet(STREAM, position)
        except TimeoutError:
            yield Page([], dict(position))
            continue
        if until is None:
            return
        while not reaches(position, until):
            page = await _once_back(partial(services.log.read, actor, STREAM, position, limit=PAGE, until=until))
            position = page.position
            yield page


async def _once_back(read: Callable[[], Awaitable[T]]) -> T:
    """What ``read`` gives, once PostgreSQL is there: followers wait for it, as the log's own do."""
    while True:
        try:
            return await read()
        except Unavailable:
            await asyncio.sleep(PAUSE)


class _Following:
    """What one follower wants of each page; ``rows`` are the permits of the page at hand, by their ids."""

    def __init__(self, services: Services, actor: Actor, wanted: Wanted, permits: Source | None) -> None:
        """``permits``: what rows are read from, where they are needed."""
        self.rows: dict[str, Row] = {}
        self._services = services
        self._actor = actor
        self._wanted = wanted
        self._permits = permits

    async def projected(self, page: Page, *, patience: float) -> bool:
        """Wait until the permits' rows have the page's events, at most ``patience`` seconds.

        There is no going on without: a filter on rows would let pass what it must not.
        """
        if self._permits is None or not page.events:
            return True
        return await self._services.progress.reach(self._actor.tenant, PERMITS, page.position, patience=patience)

    async def matching(self, events: Sequence[Event]) -> set[tuple[int, int]]:
        """(shard, offset) of the events that are wanted; where rows are needed, one statement reads them all."""
        wanted = self._wanted
        kept = [
            event
            for event in events
            if (wanted.permit_ids is None or event.partition_key in wanted.permit_ids)
            and (wanted.event_types is None or event.event_type in wanted.event_types)
        ]
        if kept and self._permits is not None:
            keys = [(permit_id,) for permit_id in {event.partition_key for event in kept}]
            found = await reads.by_keys(self._services, self._actor, self._permits, keys)
            self.rows = {row["permit_id"]: row for row in found if row is not None}
        if wanted.neighborhoods is not None:
            there = {name for name, row in self.rows.items() if row["neighborhood"] in wanted.neighborhoods}
            kept = [event for event in kept if event.partition_key in there]
        return {(event.shard, event.offset) for event in kept}


async def _start(services: Services, actor: Actor, after: str | None) -> dict[int, int]:
    if after == EARLIEST:
        return {}
    head = await services.log.head(actor, STREAM)
    if after is None or after == LATEST:
        return head
    offsets = cursors.decode(STREAM, after).offsets
    if any(offset > head.get(shard, 0) for shard, offset in offsets.items()):
        raise CursorExpired(
            _cursor(head), "This cursor lies past the end of the log: was the database restored? Read it anew."
        )
    return offsets


def _cursor(position: dict[int, int]) -> str:
    return cursors.encode(STREAM, cursors.LAYOUT, position)


def event_row(tenant: str, event: Event) -> Row:
    """``event`` as a row of the table ``events`` comes from PostgreSQL: column -> JSON form."""
    return {
        "tenant_id": tenant,
        "stream": STREAM,
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
