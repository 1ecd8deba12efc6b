"""Which events make the next batch: the unsealed head of a shard, when it closes, and what is written down before.

An intent is committed before its object is written: whoever seals again after a crash takes just these offsets, under
just this key, and so makes the same bytes.
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from lakefront.actor import CITY
from lakefront.adapters.objects.keys import check_key
from lakefront.db.database import Database
from lakefront.errors import InternalError
from lakefront.eventlog.lake.envelope import LAYOUT, LAYOUTS, SUFFIXES, Compression
from lakefront.eventlog.lake.manifest import CONSUMER, Intent, Place

PAGE: Final = 500
"""Events that are read at a time: half a megabyte as a rule, 30 at their largest."""

_MEASURED: Final = 5_000
"""Events that one statement measures."""

_SHARDS: Final = """
SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN (SELECT coalesce(json_agg(q), '[]') FROM (
SELECT h.stream, h.shard, coalesce(c.next, 0) AS start, h.next AS until,
  CASE WHEN i.key IS NOT NULL THEN json_build_object(
    'until', i.until_offset, 'key', i.key, 'compression', i.compression, 'layout', i.layout) END AS closed,
  (SELECT ingested_at FROM lakefront.events WHERE tenant_id = $1 AND stream = h.stream AND shard = h.shard
    AND "offset" = coalesce(c.next, 0)) AS opened_at
FROM lakefront.heads h
LEFT JOIN lakefront.consumer_offsets c
  ON c.tenant_id = $1 AND c.consumer = $2 AND c.stream = h.stream AND c.shard = h.shard
LEFT JOIN lakefront.seal_intents i
  ON i.tenant_id = $1 AND i.stream = h.stream AND i.shard = h.shard AND i.from_offset = coalesce(c.next, 0)
WHERE h.tenant_id = $1 AND coalesce(c.next, 0) < h.next AND ($3::text IS NULL OR (h.stream, h.shard) = ($3, $4))
ORDER BY h.stream, h.shard) q) END
"""

_EVENTS: Final = """
SELECT row_to_json(e)::text AS line, "offset" FROM (
  SELECT {columns} FROM lakefront.events
  WHERE tenant_id = $1 AND stream = $2 AND shard = $3 AND "offset" >= $4 AND "offset" < $5 ORDER BY "offset") e
"""

_AS_TENANT: Final = "SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN ({}) END"

_LINES: Final = _AS_TENANT.format(
    f"""
SELECT convert_to(coalesce(string_agg(line || E'\\n', '' ORDER BY "offset"), ''), 'UTF8') FROM ({_EVENTS}) AS lines"""  # noqa: S608
)

_SIZE: Final = _AS_TENANT.format(
    f"SELECT to_json(coalesce(sum(octet_length(line) + 1), 0)) FROM ({_EVENTS}) AS lines"  # noqa: S608
).format(columns=LAYOUTS[LAYOUT])

_NUMBERING: Final = "SELECT pg_advisory_xact_lock(hashtextextended('seal number|' || $1 || '|' || $2, 0))"

_NUMBER: Final = (
    "SELECT coalesce(max(number), 0) + 1 FROM lakefront.seal_intents WHERE tenant_id = $1 AND stream = $2 AND hour = $3"
)

_OPEN: Final = """
INSERT INTO lakefront.seal_intents
  (tenant_id, stream, shard, from_offset, until_offset, key, compression, layout, opened_at, hour, number)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (tenant_id, stream, shard, from_offset) DO NOTHING RETURNING 1
"""


class Unsealed(NamedTuple):
    """The offsets [start, until) of ``place`` that are in no object yet, the first of which arrived at ``opened_at``.

    ``intent``: the batch they begin with, if somebody closed it already.
    """

    place: Place
    start: int
    until: int
    opened_at: datetime
    intent: Intent | None

    @property
    def age(self) -> float:
        """Seconds since its first event arrived; below 0 when that was by a clock ahead of this one."""
        return (datetime.now(UTC) - self.opened_at).total_seconds()


class _Closed(msgspec.Struct):
    until: int
    key: str
    compression: Compression
    layout: int


class _Row(msgspec.Struct):
    """A shard as ``_SHARDS`` finds it."""

    stream: str
    shard: int
    start: int
    until: int
    opened_at: datetime | None
    closed: _Closed | None


async def unsealed(database: Database, tenant: str, place: Place | None = None) -> list[Unsealed]:
    """The shards of ``tenant`` (or just ``place``) that have something to seal. Raises ``Unavailable``."""
    text = await database.text(_SHARDS, tenant, CONSUMER, *(place[1:] if place else (None, None)))
    found = []
    for row in msgspec.json.decode(text, type=list[_Row]):
        where = Place(tenant, row.stream, row.shard)
        if row.opened_at is None:
            raise InternalError(f"Event {row.start} of {where} is to be sealed, but is not in the log.")
        intent = None
        if (closed := row.closed) is not None:
            form = closed.key, closed.compression, closed.layout
            intent = Intent(where, row.start, closed.until, *form, row.opened_at)
        found.append(Unsealed(where, row.start, row.until, row.opened_at, intent))
    return found


async def read(
    database: Database, place: Place, start: int, until: int, *, layout: int = LAYOUT, limit: int | None = None
) -> bytearray:
    """The lines of the events [start, until) in their ``layout``, each with its newline, read in pages.

    With ``limit`` only as many as fit into so many bytes, but at least one: the same ones each time. Raises
    ``InternalError`` for a layout that this release does not know, and where the log has a hole.
    """
    if layout not in LAYOUTS:
        raise InternalError(f"A batch of {place} has layout {layout}, which a newer release began. Run that one again.")
    lines = bytearray()
    statement = _LINES.format(columns=LAYOUTS[layout])
    while start < until:
        stop = min(start + PAGE, until)
        page = await database.text(statement, *place, start, stop)
        if page.count(b"\n") != stop - start:
            raise InternalError(f"The log has not each of the events {start} to {stop - 1} of {place}.")
        if limit is not None and len(lines) + len(page) > limit:
            end = page.rfind(b"\n", 0, max(0, limit - len(lines)))
            lines += page[: end + 1] if lines or end >= 0 else page[: page.index(b"\n") + 1]
            break
        lines += page
        start = stop
    return lines


class Sizes:
    """How many bytes of lines the unsealed events have; what was measured once is not measured again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._measured: dict[Place, tuple[int, int, int]] = {}

    async def reach(self, shard: Unsealed, limit: int) -> bool:
        """Whether the events of ``shard`` have over ``limit`` bytes. Raises ``Unavailable``."""
        start, until, size = self._measured.get(shard.place, (-1, 0, 0))
        if start != shard.start:
            until, size = shard.start, 0
        while until < shard.until and size <= limit:
            stop = min(until + _MEASURED, shard.until)
            size += int(await self._database.text(_SIZE, *shard.place, until, stop))
            until = stop
        self._measured[shard.place] = (shard.start, until, size)
        return size > limit


async def close_batch(database: Database, shard: Unsealed, until: int, compression: Compression) -> Intent | None:
    """Commit that [start, until) of ``shard`` is one batch; None if another process closed one there just now."""
    tenant, stream, number = shard.place
    hour = shard.opened_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    async with database.transaction(tenant) as transaction:
        # One at a time, so that two shards whose batches open in the same second never take the same number.
        await transaction.execute(_NUMBERING, tenant, stream)
        [(running,)] = await transaction.fetch(_NUMBER, tenant, stream, hour)
        key = object_key(tenant, stream, shard.opened_at, running, compression)
        intent = Intent(shard.place, shard.start, until, key, compression, LAYOUT, shard.opened_at)
        opened = await transaction.fetch(_OPEN, tenant, stream, number, *intent[1:], hour, running)
    return intent if opened else None


def object_key(tenant: str, stream: str, opened_at: datetime, number: int, compression: Compression) -> str:
    """Where a batch lies in the store (P4): by the UTC hour in which it opened; the city's without a prefix.

    Raises ``ValueError`` for a tenant or stream whose name can be no part of a path.
    """
    prefix = "" if tenant == CITY else f"{tenant}/"
    moment = opened_at.astimezone(UTC)
    hour = f"year={moment:%Y}/month={moment:%m}/day={moment:%d}/hour={moment:%H}"
    return check_key(f"{prefix}{stream}/{hour}/batch-{int(moment.timestamp())}-{number:03}{SUFFIXES[compression]}")
