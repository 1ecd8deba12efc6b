"""The manifest: an object that was sealed, entered together with the consumer's offset."""

from datetime import datetime
from typing import Final, NamedTuple

from lakefront.db.database import Database
from lakefront.eventlog.lake.envelope import Compression

CONSUMER: Final = "lake"
"""The sealer's name in ``consumer_offsets``: all before ``next`` is in objects of the manifest."""

CHANNEL: Final = "lakefront_lake"
"""NOTIFY on it with each object; the payload is ``tenant|stream``."""

_MOVE: Final = """
WITH moved AS (
  INSERT INTO lakefront.consumer_offsets AS held (tenant_id, consumer, stream, shard, next) VALUES ($1, $2, $3, $4, $6)
  ON CONFLICT (tenant_id, consumer, stream, shard) DO UPDATE SET next = excluded.next WHERE held.next = $5 RETURNING 1)
SELECT pg_notify($7, $1 || '|' || $3) FROM moved
"""

_ENTER: Final = """
INSERT INTO lakefront.lake_objects (tenant_id, stream, shard, from_offset, until_offset, key, compression, sha256,
  stored_bytes, raw_bytes, event_count, opened_at, sealed_at, least_occurred_at, greatest_occurred_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, count(*), $11, clock_timestamp(), min(occurred_at), max(occurred_at)
FROM lakefront.events WHERE tenant_id = $1 AND stream = $2 AND shard = $3 AND "offset" >= $4 AND "offset" < $5
"""


class Place(NamedTuple):
    """A shard of a tenant's stream."""

    tenant: str
    stream: str
    shard: int

    def __str__(self) -> str:
        return f"{self.tenant}/{self.stream}/{self.shard}"


class Intent(NamedTuple):
    """A batch that was closed: the offsets [start, until) of ``place``, and the key and form of its one object."""

    place: Place
    start: int
    until: int
    key: str
    compression: Compression
    layout: int
    opened_at: datetime


async def enter(database: Database, intent: Intent, *, sha256: str, stored_bytes: int, raw_bytes: int) -> bool:
    """Enter the object of ``intent`` and move the offset past it, in one transaction; raises ``Unavailable``.

    False, and nothing is changed, when the offset is not where the batch begins: another process sealed it meanwhile.
    """
    place = intent.place
    async with database.transaction(place.tenant) as transaction:
        moved = await transaction.fetch(
            _MOVE, place.tenant, CONSUMER, place.stream, place.shard, intent.start, intent.until, CHANNEL
        )
        if moved:
            await transaction.execute(
                _ENTER,
                *(*place, intent.start, intent.until, intent.key, intent.compression),
                *(sha256, stored_bytes, raw_bytes, intent.opened_at),
            )
    return bool(moved)
