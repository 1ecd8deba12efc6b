"""The lake: what is being sealed, what was sealed (the manifest), and how the pipelines do."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, SmallInteger, Table, Text, UniqueConstraint, func

from lakefront.db.tables.base import metadata, tenant, timestamp

seal_intents = Table(
    "seal_intents",
    metadata,
    *tenant(),
    Column("stream", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("from_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("until_offset", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("compression", Text, nullable=False),
    Column("layout", SmallInteger, nullable=False),
    timestamp("opened_at", nullable=False),
    timestamp("closed_at", nullable=False, server_default=func.now()),
    timestamp("hour", nullable=False),
    Column("number", Integer, nullable=False),
    UniqueConstraint("tenant_id", "stream", "hour", "number"),
    UniqueConstraint("tenant_id", "key"),
)
"""Batches whose object is about to be written: [from_offset, until_offset) of a shard. A row here, and none in
``lake_objects``, is work that whoever holds the shard does again, with the same bytes; it stays for good. ``number``
counts the batches of a stream that opened within the UTC ``hour``: both are in the key. ``layout`` tells the
form of the lines. ``opened_at`` is when the first event arrived, ``closed_at`` when the row was written, which is much
later in a backlog."""

lake_objects = Table(
    "lake_objects",
    metadata,
    *tenant(),
    Column("stream", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("from_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("until_offset", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("compression", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("raw_bytes", BigInteger, nullable=False),
    Column("event_count", Integer, nullable=False),
    timestamp("opened_at", nullable=False),
    timestamp("sealed_at", nullable=False),
    timestamp("least_occurred_at", nullable=False),
    timestamp("greatest_occurred_at", nullable=False),
    UniqueConstraint("tenant_id", "key"),
)
"""The manifest: every sealed object. ``sha256`` (hex) and ``stored_bytes`` are of the object as it is stored,
``raw_bytes`` of its NDJSON; offsets of a shard follow one another without a gap."""
Index(
    "lake_objects_by_time",
    lake_objects.c.tenant_id,
    lake_objects.c.stream,
    lake_objects.c.opened_at,
    lake_objects.c.shard,
    lake_objects.c.from_offset,
)
Index("lake_objects_by_sealing", lake_objects.c.tenant_id, lake_objects.c.stream, lake_objects.c.sealed_at)

pipeline_minutes = Table(
    "pipeline_minutes",
    metadata,
    *tenant(),
    Column("stream", Text, primary_key=True),
    timestamp("minute", primary_key=True),
    Column("writer", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("failed_requests", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
)
"""What came in through the doors, by minute (P7). Every process writes rows of its own (``writer``) with its whole
count of the minute so far, so that writing one again never counts twice; readers add them up. ``seconds`` is the time
to the acknowledgement, summed over the requests that did not fail."""
