"""The durable log: events, the keys that find duplicates, the heads that give offsets, how far each consumer came."""

from sqlalchemy import BigInteger, Column, Date, Index, SmallInteger, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from lakefront.db.tables.base import metadata, tenant, timestamp

events = Table(
    "events",
    metadata,
    *tenant(),
    Column("stream", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("partition_key", Text, nullable=False),
    timestamp("occurred_at", nullable=False),
    timestamp("ingested_at", nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("correlation_id", Text),
    Column("schema_version", Text, nullable=False),
    Column("source", Text, nullable=False),
)
Index(
    "events_by_key",
    events.c.tenant_id,
    events.c.stream,
    events.c.partition_key,
    events.c.occurred_at,
    events.c.shard,
    events.c.offset,
)
Index("events_by_time", events.c.tenant_id, events.c.stream, events.c.occurred_at, events.c.shard, events.c.offset)

event_keys = Table(
    "event_keys",
    metadata,
    Column("generation", Date, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("dedupe", Uuid, nullable=False),
    Column("body", Uuid, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    postgresql_partition_by="RANGE (generation)",
)
"""``dedupe``: blake2b-128 of (tenant, stream, event_id); ``body``: blake2b-128 of the event's content. One partition a
generation (a day, later its month), each with its own unique index on ``dedupe``: one big index slows as it grows."""

heads = Table(
    "heads",
    metadata,
    *tenant(),
    Column("stream", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("layout", SmallInteger, nullable=False),
    Column("next", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False, server_default="0"),
)
"""One row a shard: lock and counter in one. ``next`` is the offset that the next event gets; the first is 0. What lies
before ``first`` was trimmed from the hot log and is in the lake alone."""

consumer_offsets = Table(
    "consumer_offsets",
    metadata,
    *tenant(),
    Column("consumer", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
)
"""How far a consumer came: ``next`` is the first offset that it has not taken in."""
