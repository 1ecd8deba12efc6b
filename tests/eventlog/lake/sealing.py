"""A sealer for tests that chooses where objects begin and end; no clocks, no intents, one call."""

from datetime import UTC, datetime
from typing import Any

from lakefront.actor import CITY
from lakefront.adapters.objects import ObjectStore
from lakefront.db.database import Database
from lakefront.eventlog.lake.envelope import LAYOUTS, SUFFIXES, Compression, pack
from tests.eventlog.samples import STREAM

OPENED = datetime(2024, 1, 15, 10, tzinfo=UTC)

_LINES = f"""
SELECT row_to_json(e)::text AS line FROM (
  SELECT {LAYOUTS[1]} FROM lakefront.events
  WHERE tenant_id = $1 AND stream = $2 AND shard = $3 AND "offset" >= $4 ORDER BY "offset" LIMIT $5) e
"""

_NEXT = """
SELECT coalesce(max(until_offset), 0) FROM lakefront.lake_objects
WHERE tenant_id = $1 AND stream = $2 AND shard = $3
"""

_MANIFEST = """
INSERT INTO lakefront.lake_objects (tenant_id, stream, shard, from_offset, until_offset, key, compression, sha256,
  stored_bytes, raw_bytes, event_count, opened_at, sealed_at, least_occurred_at, greatest_occurred_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $12, $12)
"""

_INTENT = """
INSERT INTO lakefront.seal_intents (tenant_id, stream, shard, from_offset, until_offset, key, compression, layout,
  opened_at, closed_at, hour, number)
VALUES ($1, $2, $3::smallint, $4::bigint, $5, $6, $7, 1, $8::timestamptz, $8, date_trunc('hour', $8), 1 + $3 + 64 * $4)
"""


async def seal(
    database: Database, store: ObjectStore, shard: int, count: int, *, compression: Compression = "gzip"
) -> str | None:
    """Seal the next ``count`` events of ``shard`` into one object: its key; None when there is none to seal."""
    async with database.transaction(CITY) as transaction:
        [(start,)] = await transaction.fetch(_NEXT, CITY, STREAM, shard)
        rows = await transaction.fetch(_LINES, CITY, STREAM, shard, start, count)
        if not rows:
            return None
        lines = "".join(f"{line}\n" for (line,) in rows).encode()
        packed = pack(lines, compression)
        name = f"batch-1705312800-{shard}{start:05d}{SUFFIXES[compression]}"
        key = f"{STREAM}/year=2024/month=01/day=15/hour=10/{name}"
        place: tuple[Any, ...] = (CITY, STREAM, shard, start, start + len(rows), key, compression)
        await store.put(key, packed.data)
        await transaction.execute(_INTENT, *place, OPENED)
        sizes = (packed.sha256, len(packed.data), len(lines), len(rows))
        await transaction.execute(_MANIFEST, *place, *sizes, OPENED)
    return key


async def seal_all(
    database: Database, store: ObjectStore, *, count: int = 100, compression: Compression = "gzip"
) -> list[str]:
    """Seal all that is in the log, ``count`` events an object at most: the keys."""
    keys = []
    for shard in (0, 1):
        while key := await seal(database, store, shard, count, compression=compression):
            keys.append(key)
    return keys
