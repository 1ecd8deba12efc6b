"""One append, one transaction: lock the heads, look up the keys, number what is new, COPY, move the heads, commit."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import asyncpg

from lakefront.db.tables.base import SCHEMA
from lakefront.errors import InternalError, Unavailable
from lakefront.eventlog.cursors import LAYOUT
from lakefront.eventlog.events import Appended, Outcome
from lakefront.eventlog.postgres import keys
from lakefront.eventlog.postgres.connections import AppenderConnection, Connections
from lakefront.eventlog.postgres.rows import EVENT_COLUMNS, KEY_COLUMNS, Prepared, Rows, not_storable

CHANNEL = "lakefront_events"
"""NOTIFY on it after each commit, payload ``tenant|stream``."""

T = TypeVar("T")

_ATTEMPTS = 8

_RACES = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""Another transaction was first: look again."""

_BAD_DATA = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
"""What the COPY of an event that PostgreSQL cannot hold ends in; elsewhere they say something else (a queue of notices
that is full, by COMMIT), and nothing of the events."""

_BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock_shared({keys.LOCK})"

_LOCK_HEADS = """
SELECT shard, next, (
  SELECT max(c.relname) FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'lakefront.event_keys'::regclass) AS newest
FROM lakefront.heads WHERE tenant_id = $1 AND stream = $2 AND shard = ANY($3::smallint[])
ORDER BY shard FOR UPDATE
"""

_LOOK_UP = 'SELECT dedupe, body, shard, "offset" FROM lakefront.event_keys WHERE dedupe = ANY($1::text::uuid[])'

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


class Batch(NamedTuple):
    """What one caller wants appended; ``atomic``: a conflict keeps all of it out."""

    events: Sequence[Prepared]
    atomic: bool


Stored = Mapping[bytes, tuple[bytes, int, int]]
"""What the log has already: dedupe -> (body, shard, offset)."""


class Draft:
    """What a transaction is about to write: verdicts, rows, the heads after them."""

    def __init__(self, shards: int, heads: Mapping[int, int], stored: Stored, batches: Sequence[Batch]) -> None:
        """``heads`` has the shards that are locked."""
        self.rows = Rows(heads)
        self._new: dict[bytes, tuple[Prepared, int, int]] = {}
        self._shards = shards
        self._stored = stored
        self.verdicts = [self._take(batch) for batch in batches]

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._new)

    def _take(self, batch: Batch) -> list[Appended]:
        """Decide on each event of ``batch``; what is new gets its shard's next offset."""
        if batch.atomic and self._conflicts(batch):
            return [self._known(item) or self._refused(item) for item in batch.events]
        verdicts = []
        stored, new, shards, add = self._stored, self._new, self._shards, self.rows.add
        for item in batch.events:
            dedupe = item.dedupe
            if (dedupe in stored or dedupe in new) and (known := self._known(item)):
                verdicts.append(known)
                continue
            shard = item.hashed_key % shards
            offset = add(shard, item)
            new[dedupe] = (item, shard, offset)
            verdicts.append(Appended(Outcome.ACCEPTED, shard, offset))
        return verdicts

    def _known(self, item: Prepared) -> Appended | None:
        """The verdict on an event whose id is stored or comes twice; None for a new one."""
        if found := self._stored.get(item.dedupe):
            body, shard, offset = found
        elif twice := self._new.get(item.dedupe):
            first, shard, offset = twice
            body = first.body()
        else:
            return None
        return Appended(Outcome.DUPLICATE if body == item.body() else Outcome.CONFLICT, shard, offset)

    def _refused(self, item: Prepared) -> Appended:
        return Appended(Outcome.REJECTED, item.hashed_key % self._shards, -1)

    def _conflicts(self, batch: Batch) -> bool:
        mine: dict[bytes, Prepared] = {}
        for item in batch.events:
            known = self._known(item)
            if known is not None and known.outcome is Outcome.CONFLICT:
                return True
            first = mine.setdefault(item.dedupe, item)
            if first is not item and first.body() != item.body():
                return True
        return False


class _LaterDay(Exception):
    """The newest generation of keys is of an earlier day: make today's first."""


class Appender:
    """Appends to any stream. Safe to call at once for several streams, and for one stream from several processes."""

    def __init__(
        self, connections: Connections, *, shards: Callable[[str], int], today: keys.Today = keys.today
    ) -> None:
        """``shards`` tells how many a stream gets on first use."""
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
            except (ValueError, TypeError) as bad:  # from encoding rows
                raise not_storable() from bad
            except asyncpg.ProgramLimitExceededError as full:
                raise Unavailable("The log takes nothing in right now. Send the request again in a moment.") from full
        raise Unavailable("Too many writers sent the same events at once. Send the request again in a moment.")

    async def preview(self, tenant: str, stream: str, batch: Batch) -> list[Appended]:
        """The verdicts that ``append`` would give now; what it would accept has the offset -1."""
        async with self._connections.acquire() as connection:
            shards = await self._known_layout(connection, tenant, stream) or self._new_shards(stream)
            stored = await _look_up(connection, [batch])
        draft = Draft(shards, dict.fromkeys(range(shards), 0), stored, [batch])
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
            draft = Draft(shards, before, {}, batches)  # most often nothing is stored yet
            stored = await looking_up
        if stored:
            draft = Draft(shards, before, stored, batches)
        if draft:
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
                        await connection.execute(_FIRST_USE, tenant, stream, self._new_shards(stream), LAYOUT)
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
    wanted = b"".join([item.dedupe for batch in batches for item in batch.events]).hex(
        ",", 16
    )  # an array's codec is slow
    found = await connection.fetch(_LOOK_UP, f"{{{wanted}}}")
    return {dedupe: (body, shard, offset) for dedupe, body, shard, offset in found}


async def _write(
    connection: AppenderConnection, tenant: str, stream: str, newest: keys.Generation, draft: Draft
) -> None:
    heads = draft.rows.heads

    async def copy(table: str, columns: Sequence[str], source: AsyncIterator[bytes]) -> None:
        await connection.copy_to_table(table, schema_name=SCHEMA, columns=columns, source=source, format="binary")

    try:
        await copy("events", EVENT_COLUMNS, draft.rows.for_events(tenant, stream, datetime.now(UTC)))
        await copy(newest.table, KEY_COLUMNS, draft.rows.for_keys(newest.first, tenant))
    except _RACES:
        raise
    except _BAD_DATA as bad:
        raise not_storable() from bad
    await connection.fetch(_MOVE_HEADS, tenant, stream, list(heads), list(heads.values()))


@asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, T]) -> AsyncIterator["asyncio.Task[T]"]:
    """Start ``work``, so that PostgreSQL is at it while the block computes; the block awaits it."""
    task = asyncio.create_task(work)
    try:
        await asyncio.sleep(0)
        yield task
    finally:
        task.cancel()
