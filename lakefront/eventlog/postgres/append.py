"""One append, one transaction: lock the heads, look up the keys, number what is new, COPY, move the heads, commit."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

import asyncpg
import msgspec

from lakefront.db.tables.base import SCHEMA
from lakefront.errors import InternalError, Unavailable, ValidationError
from lakefront.eventlog.cursors import LAYOUT
from lakefront.eventlog.events import Appended, NewEvent, Outcome
from lakefront.eventlog.postgres import keys
from lakefront.eventlog.postgres.connections import AppenderConnection, Connections

CHANNEL = "lakefront_events"
"""NOTIFY on it after each commit, payload ``tenant|stream``."""

T = TypeVar("T")

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

EVENT_COLUMNS = (
    *("tenant_id", "stream", "shard", "offset", "event_id", "event_type", "partition_key"),
    *("occurred_at", "ingested_at", "payload", "trace_id", "correlation_id", "schema_version", "source"),
)


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """An event with its hashes, made while another transaction runs."""

    event: NewEvent
    dedupe: bytes
    hashed_key: int


def prepare(tenant: str, stream: str, events: Sequence[NewEvent]) -> list[Prepared]:
    """``events``, ready to be appended to the stream; raises ``ValidationError`` on text that is not Unicode."""
    try:
        return [Prepared(event, event.dedupe(tenant, stream), crc32(event.partition_key.encode())) for event in events]
    except UnicodeEncodeError as bad:
        raise _not_storable() from bad


class Batch(NamedTuple):
    """What one caller wants appended; ``atomic``: a conflict keeps all of it out."""

    events: Sequence[Prepared]
    atomic: bool


Stored = Mapping[bytes, tuple[bytes, int, int]]
"""What the log has already: dedupe -> (body, shard, offset)."""

Row = tuple[Any, ...]


class Draft:
    """What a transaction is about to write: verdicts, rows for ``events`` (EVENT_COLUMNS), the heads after them."""

    def __init__(
        self, key: tuple[str, str], shards: int, heads: Mapping[int, int], stored: Stored, batches: Sequence[Batch]
    ) -> None:
        """``key`` is (tenant, stream); ``heads`` has the shards that are locked."""
        self.heads = dict(heads)
        self.events: list[Row] = []
        self._items: list[Prepared] = []
        self._new: dict[bytes, int] = {}
        self._key = key
        self._shards = shards
        self._stored = stored
        self.verdicts = [self._take(batch) for batch in batches]

    def _take(self, batch: Batch) -> list[Appended]:
        """Decide on each event of ``batch``; what is new gets its shard's next offset."""
        if batch.atomic and self._conflicts(batch):
            return [self._known(item) or self._refused(item) for item in batch.events]
        verdicts = []
        tenant, stream = self._key
        heads, stored, new, shards, now = self.heads, self._stored, self._new, self._shards, datetime.now(UTC)
        items, rows = self._items, self.events
        for item in batch.events:
            dedupe = item.dedupe
            if (dedupe in stored or dedupe in new) and (known := self._known(item)):
                verdicts.append(known)
                continue
            event = item.event
            shard = item.hashed_key % shards
            offset = heads[shard]
            heads[shard] = offset + 1
            new[dedupe] = len(items)
            items.append(item)
            verdicts.append(Appended(Outcome.ACCEPTED, shard, offset))
            rows.append(
                (
                    tenant,
                    stream,
                    shard,
                    offset,
                    event.event_id,
                    event.event_type,
                    event.partition_key,
                    event.occurred_at,
                    now,
                    event.payload,
                    event.trace_id,
                    event.correlation_id,
                    event.schema_version,
                    event.source,
                )
            )
        return verdicts

    def _known(self, item: Prepared) -> Appended | None:
        """The verdict on an event whose id is stored or comes twice; None for a new one."""
        if found := self._stored.get(item.dedupe):
            body, shard, offset = found
        elif (first := self._new.get(item.dedupe)) is not None:
            body = self._items[first].event.body()
            shard, offset = self.events[first][2:4]
        else:
            return None
        outcome = Outcome.DUPLICATE if body == item.event.body() else Outcome.CONFLICT
        return Appended(outcome, shard, offset)

    def _refused(self, item: Prepared) -> Appended:
        return Appended(Outcome.REJECTED, item.hashed_key % self._shards, -1)

    def _conflicts(self, batch: Batch) -> bool:
        mine: dict[bytes, Prepared] = {}
        for item in batch.events:
            known = self._known(item)
            if known is not None and known.outcome is Outcome.CONFLICT:
                return True
            first = mine.setdefault(item.dedupe, item)
            if first is not item and first.event.body() != item.event.body():
                return True
        return False

    def keys(self, generation: date) -> bytes:
        """The rows for ``event_keys`` as COPY reads them; sorted, so that transactions that race never deadlock."""
        places = ((row[2], row[3]) for row in self.events)
        return keys.copy_rows(
            generation,
            self._key[0],
            sorted((item.dedupe, item.event.body(), *place) for item, place in zip(self._items, places, strict=True)),
        )


_shard = itemgetter(2)  # of a row for events


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
            stored = await _look_up(connection, [batch])
        draft = Draft((tenant, stream), shards, dict.fromkeys(range(shards), 0), stored, [batch])
        return [
            verdict if item.dedupe in stored else Appended(verdict.outcome, verdict.shard, -1)
            for item, verdict in zip(batch.events, draft.verdicts[0], strict=True)
        ]

    async def _attempt(
        self, connection: AppenderConnection, tenant: str, stream: str, batches: Sequence[Batch]
    ) -> list[list[Appended]]:
        shards = self._shards[tenant, stream]
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
        before = {row["shard"]: row["next"] for row in heads}
        async with _meanwhile(_look_up(connection, batches)) as looking_up:
            draft = Draft((tenant, stream), shards, before, {}, batches)  # most often nothing is stored yet
            stored = await looking_up
        if stored:
            draft = Draft((tenant, stream), shards, before, stored, batches)
        if draft.events:
            await _write(connection, tenant, stream, newest, draft)
        await connection.execute("COMMIT")
        return draft.verdicts

    async def layout(self, tenant: str, stream: str) -> int:
        """The stream's number of shards; to be asked before ``append``. Its heads are made on first use."""
        if known := self._shards.get((tenant, stream)):
            return known
        async with self._connections.acquire() as connection:
            if not await self._known_layout(connection, tenant, stream):
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


async def _look_up(connection: AppenderConnection, batches: Sequence[Batch]) -> Stored:
    # In a statement of its own, after the heads': its snapshot is younger than the locks and sees all that went before.
    wanted = [item.dedupe for batch in batches for item in batch.events]
    return {dedupe: (body, shard, offset) for dedupe, body, shard, offset in await connection.fetch(_LOOK_UP, wanted)}


async def _write(
    connection: AppenderConnection, tenant: str, stream: str, newest: keys.Generation, draft: Draft
) -> None:
    rows = sorted(draft.events, key=_shard) if len(draft.heads) > 1 else draft.events  # the indexes like it
    copy_events = connection.copy_records_to_table("events", schema_name=SCHEMA, columns=EVENT_COLUMNS, records=rows)
    async with _meanwhile(copy_events) as copying:
        new_keys = draft.keys(newest.first)
        await copying
    await connection.copy_to_table(
        newest.table, schema_name=SCHEMA, columns=keys.COLUMNS, source=_at_once(new_keys), format="binary"
    )
    await connection.fetch(_MOVE_HEADS, tenant, stream, list(draft.heads), list(draft.heads.values()))


async def _at_once(data: bytes) -> AsyncIterator[bytes]:
    """``data`` as a source of COPY; the driver would read a file in a thread, which takes longer than the copy."""
    yield data


@asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, T]) -> AsyncIterator["asyncio.Task[T]"]:
    """Start ``work``, so that PostgreSQL is at it while the block computes; the block awaits it."""
    task = asyncio.create_task(work)
    try:
        await asyncio.sleep(0)
        yield task
    finally:
        task.cancel()


def _not_storable() -> ValidationError:
    return ValidationError("An event holds a value that cannot be stored. Check its texts and numbers.")
