"""Reads of the log as the application's role: pages by keyset, one statement for all shards, one JSON text back.

What was trimmed from the hot log is read from the lake; the order over shards is the same wherever an event lies.
"""

import asyncio
from collections.abc import Mapping
from sys import maxsize
from typing import NamedTuple

import msgspec

from lakefront.db.database import Database
from lakefront.errors import CursorExpired
from lakefront.eventlog.cursors import LAYOUT, encode
from lakefront.eventlog.events import Event, Offsets, Page
from lakefront.eventlog.lake.history import History
from lakefront.eventlog.merge import merge

PAGE_BYTES = 2 * 1024 * 1024
"""Bytes of JSON after which a page of the hot log is cut, however few its events are; each shard gives at least one."""

_AS_TENANT = "SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN ({}) END"

_HEAD = _AS_TENANT.format(
    """
SELECT coalesce(json_agg(json_build_array(shard, next)), '[]')
FROM lakefront.heads WHERE tenant_id = $1 AND stream = $2"""
)

_ROWS = """
    SELECT shard, "offset", event_id, event_type, partition_key, occurred_at, ingested_at, payload,
      trace_id, correlation_id, schema_version, source
    FROM lakefront.events
    WHERE tenant_id = $1 AND stream = $2 AND shard = part.shard AND "offset" >= part.after AND "offset" < part.until
      AND part.after >= part.first
    ORDER BY "offset" LIMIT greatest(1, $6::bigint / nullif(part.shards, 0))"""

_PARTS = """
WITH part AS (
  SELECT h.shard, h.first, coalesce(p.after, 0) AS after, least(p.until, h.next) AS until,
    count(*) FILTER (WHERE coalesce(p.after, 0) < coalesce(p.until, h.next)) OVER () AS shards
  FROM lakefront.heads h
  LEFT JOIN unnest($3::smallint[], $4::bigint[], $5::bigint[]) AS p(shard, after, until) ON p.shard = h.shard
  WHERE h.tenant_id = $1 AND h.stream = $2
)
SELECT json_build_array((SELECT coalesce(json_agg(json_build_array(shard, first, until)), '[]') FROM part), """

# Few pages are too large. So only the whole is measured, which costs nothing; to measure each row would cost a fifth.
_PAGE = _AS_TENANT.format(
    f"""{_PARTS}(
  SELECT CASE WHEN pg_column_size(events) <= $7::bigint THEN events END FROM (
    SELECT coalesce(json_agg(row_to_json(e)), '[]') AS events FROM part CROSS JOIN LATERAL ({_ROWS}) e) page))"""  # noqa: S608 - our own text
)

_CUT_PAGE = _AS_TENANT.format(
    f"""{_PARTS}(
  SELECT coalesce(json_agg(event), '[]') FROM part CROSS JOIN LATERAL (
    SELECT event, sum(size) OVER (ROWS UNBOUNDED PRECEDING) - size AS before
    FROM (SELECT event, octet_length(event::text) AS size
      FROM (SELECT row_to_json(r) AS event FROM ({_ROWS}) r OFFSET 0) made) measured
  ) cut WHERE before < $7::bigint / part.shards))"""  # noqa: S608 - our own text
)

Bounds = tuple[int, int, int]
"""(shard, first offset that the hot log has, offset before which to read)."""

_head = msgspec.json.Decoder(list[tuple[int, int]])
_page = msgspec.json.Decoder(tuple[list[Bounds], list[Event] | None])


class Read(NamedTuple):
    """What a read has found: the events of each shard, which shards have more before their bound, the bytes of all."""

    shards: dict[int, list[Event]]
    more: set[int]
    size: int


class Reader:
    """Reads streams; without a ``history`` what was trimmed from the hot log is ``CursorExpired``."""

    def __init__(self, database: Database, history: History | None = None) -> None:
        self._database = database
        self._history = history
        self._first: dict[tuple[str, str], dict[int, int]] = {}
        """Of streams that were trimmed: shard -> an offset before which the lake has everything, for good."""

    async def head(self, tenant: str, stream: str) -> dict[int, int]:
        """Shard -> next offset; empty for a stream that was never appended to. Raises ``Unavailable``."""
        return dict(_head.decode(await self._database.text(_HEAD, tenant, stream)))

    async def page(self, tenant: str, stream: str, after: Offsets, *, limit: int, until: Offsets | None = None) -> Page:
        """At most ``limit`` events from ``after`` on, before ``until``; only an empty page means that there is no more.

        Raises ``Unavailable``, also for the object store; ``InternalError`` for an object that is damaged.
        """
        return await Pages(self, tenant, stream).next(after, limit=limit, until=until)

    async def shards(
        self, tenant: str, stream: str, after: Offsets, until: Mapping[int, int | None], limit: int
    ) -> Read:
        """The events of each shard from ``after`` on and before ``until`` (None: the end), at most ``limit`` of all.

        Shards give equal parts. Of the hot log about ``PAGE_BYTES`` at most, but an event of each shard.
        """
        events: list[Event] = []
        size = 0
        bounds = self._within_lake(tenant, stream, after, until)
        if bounds is None:
            bounds, events, size = await self._from_log(tenant, stream, after, until, limit)
        found: dict[int, list[Event]] = {shard: [] for shard, _, _ in bounds}
        for event in events:
            found[event.shard].append(event)
        for read in found.values():
            read.sort(key=_offset)
        sealed = {shard: min(first, end) for shard, first, end in bounds if after.get(shard, 0) < min(first, end)}
        if sealed:
            if self._history is None:
                raise _expired(stream, after, bounds)
            each = max(1, limit // len(bounds))
            reads = (
                self._history.part(tenant, stream, shard, start, min(each, end - start))
                for shard, end in sealed.items()
                for start in [after.get(shard, 0)]
            )
            for shard, part in zip(sealed, await asyncio.gather(*reads), strict=True):
                found[shard] = part.events
                size += part.size
        more = {shard for shard, _, end in bounds if found[shard] and found[shard][-1].offset + 1 < end}
        return Read(found, more, size)

    async def _from_log(
        self, tenant: str, stream: str, after: Offsets, until: Mapping[int, int | None], limit: int
    ) -> tuple[list[Bounds], list[Event], int]:
        shards = sorted({*after, *until})
        starts = [after.get(shard, 0) for shard in shards]
        ends = [until.get(shard) for shard in shards]
        asked = (tenant, stream, shards, starts, ends, limit, PAGE_BYTES)
        text = await self._database.text(_PAGE, *asked)
        bounds, events = _page.decode(text)
        if events is None:
            text = await self._database.text(_CUT_PAGE, *asked)
            bounds, events = _page.decode(text)
        events = events or []
        if any(first for _, first, _ in bounds):
            self._first[tenant, stream] = {shard: first for shard, first, _ in bounds}
        return bounds, events, len(text) if events else 0

    def _within_lake(
        self, tenant: str, stream: str, after: Offsets, until: Mapping[int, int | None]
    ) -> list[Bounds] | None:
        """The bounds, if all that is asked for is known to lie in the lake; None: PostgreSQL must be asked."""
        bounds = []
        for shard, first in self._first.get((tenant, stream), {}).items():
            start, end = after.get(shard, 0), until.get(shard)
            if start >= first and (end is None or start < end):
                return None
            bounds.append((shard, first, maxsize if end is None else end))
        return bounds or None


class Pages:
    """Pages of one stream, one after the other. What a page has read and its order leaves out is kept for the next.

    A group commit gives thousands of events of one shard the same time: half of what is read would be read twice.
    """

    def __init__(self, reader: Reader, tenant: str, stream: str) -> None:
        self._reader = reader
        self._key = (tenant, stream)
        self._ahead: dict[int, list[Event]] = {}
        self._size = 0
        """Bytes of what is kept."""
        self._fit = maxsize
        """Events of the last read's size that ``PAGE_BYTES`` hold: more would be read to be thrown away."""

    async def next(self, after: Offsets, *, limit: int, until: Offsets | None = None) -> Page:
        """At most ``limit`` events from ``after`` on, and before ``until`` (the end if None); else as ``Reader.page``.

        Safe to cancel, and ``after`` may be any position: what does not fit to it is read anew.
        """
        ahead = {
            shard: events
            for shard, events in self._ahead.items()
            if events[0].offset == after.get(shard, 0) and (until is None or events[-1].offset < until.get(shard, 0))
        }
        bounds: dict[int, int | None] = {} if until is None else {**dict.fromkeys(after, 0), **until}
        bounds |= {shard: after.get(shard, 0) for shard in ahead}  # nothing of these
        read = await self._reader.shards(*self._key, after, bounds, min(limit, self._fit))
        if read.size:
            self._fit = max(1, sum(map(len, read.shards.values())) * PAGE_BYTES // read.size)
        found = read.shards | ahead
        page = merge(after, found, read.more | ahead.keys(), limit)
        size = read.size + (self._size if ahead else 0)
        taken = size * len(page.events) // max(1, sum(map(len, found.values())))
        self._size = size - taken
        left = {
            shard: events[page.position.get(shard, 0) - events[0].offset :] for shard, events in found.items() if events
        }
        self._ahead = {shard: events for shard, events in left.items() if events}
        return Page(page.events, page.position, taken)


def _expired(stream: str, after: Offsets, bounds: list[Bounds]) -> CursorExpired:
    kept = {**after, **{shard: max(first, after.get(shard, 0)) for shard, first, _ in bounds}}
    told = "The log holds only what came later, and no lake is read here. Go on from extensions.cursor."
    return CursorExpired(encode(stream, LAYOUT, kept), told)


def _offset(event: Event) -> int:
    return event.offset
