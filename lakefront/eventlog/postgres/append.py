"""One append, one transaction: lock the heads, look up the keys, number what is new, COPY, move the heads, commit."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zlib import crc32

import asyncpg

from lakefront.db.tables.base import SCHEMA
from lakefront.errors import InternalError, Unavailable, ValidationError
from lakefront.eventlog.cursors import LAYOUT
from lakefront.eventlog.events import Appended, NewEvent, Outcome
from lakefront.eventlog.postgres import keys
from lakefront.eventlog.postgres.connections import AppenderConnection, Connections

CHANNEL = "lakefront_events"
"""NOTIFY on it after each commit, payload ``tenant|stream``."""

_ATTEMPTS = 8

_RACES = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""Another transaction was first: look again."""

_BAD_DATA = (
    *(asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError),
    *(ValueError, TypeError, OverflowError),  # from encoding rows for COPY
)
"""What an event that PostgreSQL cannot hold ends in."""

_BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock_shared({keys.LOCK})"

_LOCK_HEADS = """
SELECT shard, next, (
  SELECT max(c.relname) FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'lakefront.event_keys'::regclass) AS newest
FROM lakefront.heads WHERE tenant_id = $1 AND stream = $2 AND shard = ANY($3::smallint[])
ORDER BY shard FOR UPDATE
"""

_LOOK_UP = 'SELECT dedupe, body, shard, "offset" FROM lakefront.event_keys WHERE dedupe = ANY($1::uuid[])'

_MOVE_HEADS = """
WITH moved AS (
  UPDATE lakefront.heads h SET next = n.next FROM unnest($3::smallint[], $4::bigint[]) AS n(shard, next)
  WHERE h.tenant_id = $1 AND h.stream = $2 AND h.shard = n.shard RETURNING 1)
SELECT pg_notify('lakefront_events', $1 || '|' || $2), (SELECT count(*) FROM moved)
"""

_LAYOUT = """
SELECT max(layout)::int AS version, count(*)::int AS shards FROM lakefront.heads WHERE tenant_id = $1 AND stream = $2
"""

_FIRST_USE_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1 || '|' || $2, 0))"

_FIRST_USE = """
INSERT INTO lakefront.heads (tenant_id, stream, shard, layout, next)
SELECT $1, $2, shard, $4, 0 FROM generate_series(0, $3::int - 1) AS shard
"""

_EVENT_COLUMNS = (
    *("tenant_id", "stream", "shard", "offset", "event_id", "event_type", "partition_key"),
    *("occurred_at", "ingested_at", "payload", "trace_id", "correlation_id", "schema_version", "source"),
)


class Prepared(NamedTuple):
    """An event with its hashes: made while another transaction runs, so that its own is short."""

    event: NewEvent
    dedupe: bytes
    body: bytes
    hashed_key: int


def prepare(tenant: str, stream: str, events: Sequence[NewEvent]) -> list[Prepared]:
    """``events``, ready to be appended to the stream; raises ``ValidationError`` on text that is not Unicode."""
    try:
        return [
            Prepared(event, event.dedupe(tenant, stream), event.body(), crc32(event.partition_key.encode()))
            for event in events
        ]
    except UnicodeEncodeError as bad:
        raise _not_storable() from bad


class Batch(NamedTuple):
    """What one caller wants appended; ``atomic``: a conflict keeps all of it out."""

    events: Sequence[Prepared]
    atomic: bool


class _Place(NamedTuple):
    body: bytes
    shard: int
    offset: int


class _Draft:
    """What a transaction is about to write: verdicts, rows and the heads after them."""

    def __init__(self, tenant: str, stream: str, shards: int, heads: dict[int, int], generation: Any) -> None:
        self.heads = heads
        self.events: list[tuple[Any, ...]] = []
        self.keys: list[tuple[Any, ...]] = []
        self._tenant, self._stream, self._shards, self._generation = tenant, stream, shards, generation
        self._now = datetime.now(UTC)

    def take(self, batch: Batch, known: dict[bytes, _Place]) -> list[Appended]:
        """Decide on each event of ``batch``; what is new gets its shard's next offset and is ``known`` from now on."""
        if batch.atomic and _conflicts(batch, known):
            return [self._refused(item, known) for item in batch.events]
        verdicts = []
        tenant, stream, now, generation, shards = self._tenant, self._stream, self._now, self._generation, self._shards
        for event, dedupe, body, hashed_key in batch.events:
            place = known.get(dedupe)
            if place is not None:
                outcome = Outcome.DUPLICATE if place.body == body else Outcome.CONFLICT
                verdicts.append(Appended(outcome, place.shard, place.offset))
                continue
            shard = hashed_key % shards
            offset = self.heads[shard]
            self.heads[shard] = offset + 1
            known[dedupe] = _Place(body, shard, offset)
            verdicts.append(Appended(Outcome.ACCEPTED, shard, offset))
            self.keys.append((generation, tenant, dedupe, body, shard, offset))
            self.events.append((
                *(tenant, stream, shard, offset, event.event_id, event.event_type, event.partition_key),
                *(event.occurred_at, now, event.payload, event.trace_id, event.correlation_id),
                *(event.schema_version, event.source),
            ))  # fmt: skip
        return verdicts

    def _refused(self, item: Prepared, known: dict[bytes, _Place]) -> Appended:
        place = known.get(item.dedupe)
        if place is None:
            return Appended(Outcome.REJECTED, item.hashed_key % self._shards, -1)
        outcome = Outcome.DUPLICATE if place.body == item.body else Outcome.CONFLICT
        return Appended(outcome, place.shard, place.offset)


def _conflicts(batch: Batch, known: dict[bytes, _Place]) -> bool:
    bodies: dict[bytes, bytes] = {}
    for item in batch.events:
        place = known.get(item.dedupe)
        if bodies.setdefault(item.dedupe, place.body if place else item.body) != item.body:
            return True
    return False


class _LaterDay(Exception):
    """The newest generation of keys is of an earlier day: make today's first."""


class Appender:
    """Appends to any stream. Safe to call at once for several streams, and for one stream from several processes."""

    def __init__(self, connections: Connections, *, shards: int, today: keys.Today = keys.today) -> None:
        self._connections = connections
        self._new_shards = shards
        self._today = today
        self._shards: dict[tuple[str, str], int] = {}

    async def append(self, tenant: str, stream: str, batches: Sequence[Batch]) -> list[list[Appended]]:
        """Append ``batches`` in one transaction and return their verdicts once it is durable.

        Raises ``ValidationError`` if PostgreSQL cannot hold an event of them, ``Unavailable`` if it is away; then none
        of it was acknowledged, and appending again is safe.
        """
        for attempt in range(_ATTEMPTS):
            try:
                async with self._connections.acquire() as connection:
                    return await self._attempt(connection, tenant, stream, batches)
            except _RACES:
                await asyncio.sleep(random.uniform(0, 0.002 * 2**attempt))  # noqa: S311 - spreads retries
            except _BAD_DATA as bad:
                raise _not_storable() from bad
        raise Unavailable("Too many writers sent the same events at once. Send the request again in a moment.")

    async def preview(self, tenant: str, stream: str, batch: Batch) -> list[Appended]:
        """The verdicts that ``append`` would give now; what it would accept has the offset -1."""
        async with self._connections.acquire() as connection:
            shards = await self._known_layout(connection, tenant, stream) or self._new_shards
            known = await _look_up(connection, [batch])
        draft = _Draft(tenant, stream, shards, dict.fromkeys(range(shards), 0), None)
        fresh = {item.dedupe for item in batch.events} - known.keys()
        verdicts = draft.take(batch, known)
        return [
            verdict._replace(offset=-1) if item.dedupe in fresh else verdict
            for item, verdict in zip(batch.events, verdicts, strict=True)
        ]

    async def _attempt(
        self, connection: AppenderConnection, tenant: str, stream: str, batches: Sequence[Batch]
    ) -> list[list[Appended]]:
        shards = await self._layout(connection, tenant, stream)
        while True:
            try:
                return await self._transaction(connection, tenant, stream, shards, batches)
            except _LaterDay:
                await connection.execute("ROLLBACK")
                await keys.advance(connection, self._today())

    async def _transaction(
        self, connection: AppenderConnection, tenant: str, stream: str, shards: int, batches: Sequence[Batch]
    ) -> list[list[Appended]]:
        needed = sorted({item.hashed_key % shards for batch in batches for item in batch.events})
        await connection.execute(_BEGIN)
        heads = await connection.fetch(_LOCK_HEADS, tenant, stream, needed)
        newest = heads[0]["newest"] and keys.named(heads[0]["newest"])
        if newest is None or newest.first < self._today():
            raise _LaterDay
        # In a statement of its own: its snapshot is younger than the locks, so it sees all that went before.
        known = await _look_up(connection, batches)
        before = {row["shard"]: row["next"] for row in heads}
        draft = _Draft(tenant, stream, shards, dict(before), newest.first)
        verdicts = [draft.take(batch, known) for batch in batches]
        if draft.events:
            await _write(connection, tenant, stream, newest, draft)
        await connection.execute("COMMIT")
        return verdicts

    async def _layout(self, connection: AppenderConnection, tenant: str, stream: str) -> int:
        """The stream's number of shards; its heads are made on first use."""
        if known := await self._known_layout(connection, tenant, stream):
            return known
        async with connection.transaction():
            await connection.execute(_FIRST_USE_LOCK, tenant, stream)
            if not await self._known_layout(connection, tenant, stream):
                await connection.execute(_FIRST_USE, tenant, stream, self._new_shards, LAYOUT)
        return await self._known_layout(connection, tenant, stream)

    async def _known_layout(self, connection: AppenderConnection, tenant: str, stream: str) -> int:
        """The number of shards of a stream that has heads; 0 for one that has none."""
        if known := self._shards.get((tenant, stream)):
            return known
        [(version, shards)] = await connection.fetch(_LAYOUT, tenant, stream)
        if shards and version != LAYOUT:
            raise InternalError(f"Stream '{stream}' has a newer layout than this server knows. Upgrade the server.")
        if shards:
            self._shards[tenant, stream] = shards
        return int(shards)


async def _look_up(connection: AppenderConnection, batches: Sequence[Batch]) -> dict[bytes, _Place]:
    wanted = [item.dedupe for batch in batches for item in batch.events]
    return {dedupe: _Place(*place) for dedupe, *place in await connection.fetch(_LOOK_UP, wanted)}


async def _write(
    connection: AppenderConnection, tenant: str, stream: str, newest: keys.Generation, draft: _Draft
) -> None:
    await connection.copy_records_to_table("events", schema_name=SCHEMA, columns=_EVENT_COLUMNS, records=draft.events)
    await connection.copy_records_to_table(newest.table, schema_name=SCHEMA, columns=keys.COLUMNS, records=draft.keys)
    await connection.fetch(_MOVE_HEADS, tenant, stream, list(draft.heads), list(draft.heads.values()))


def _not_storable() -> ValidationError:
    return ValidationError("An event holds a value that cannot be stored. Check its texts and numbers.")
