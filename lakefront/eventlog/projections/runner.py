"""Runs a projection: reads its stream from its committed offset, folds, and commits rows and offset together.

Every process runs one; the row of ``consumer_offsets`` is the lock, taken for one batch at a time, so that the
processes share the shards and the others go on where one died.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from lakefront import tracing
from lakefront.db.database import Database, Transaction
from lakefront.errors import InternalError, LakefrontError, Unavailable
from lakefront.eventlog.backlog import Backlog
from lakefront.eventlog.lake.history import History
from lakefront.eventlog.pace import Bell, Rests, lull

BATCH = 500
"""Events of one transaction: at their largest they take some 100 MB."""

COURTESY = 5.0, 2.0
"""A projection that is behind waits for a lull in the appends: at most so many times as long as its last batch took, or
so many seconds."""

MOST_NAMED = 1000
"""Tenants named by notices that are remembered; beyond that one look at all of them is cheaper."""

CHANNEL = "lakefront_projections"
"""NOTIFY channel; the payload is ``tenant|projection``."""

_BEHIND: Final = """
SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN (
  SELECT coalesce(json_agg(h.shard ORDER BY h.shard), '[]') FROM lakefront.heads h
  LEFT JOIN lakefront.consumer_offsets c
    ON c.tenant_id = $1 AND c.consumer = $2 AND c.stream = h.stream AND c.shard = h.shard
  WHERE h.tenant_id = $1 AND h.stream = $3 AND h.next > coalesce(c.next, 0)) END
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Projection:
    """What is kept: a name (its consumer's), the stream it reads, how a batch is folded, how its rows are emptied.

    ``begin``: of a tenant and a shard, the first offset that it wants. What lies before is passed over unread.
    """

    name: str
    stream: str
    project: Callable[[Transaction, str, Iterable[Mapping[str, Any]]], Awaitable[None]]
    clear: Callable[[Transaction, str], Awaitable[None]]
    begin: Callable[[Transaction, str, int], Awaitable[int]] | None = None


class ProjectionRunner:
    """Keeps ``projection`` up to date for every tenant: for those that notices name at once, for all every ``poll``."""

    def __init__(
        self,
        database: Database,
        projection: Projection,
        backlog: Backlog,
        *,
        poll: float,
        busy: Callable[[], bool] = lambda: False,
        pace: float = 0.0,
    ) -> None:
        """``poll``: seconds. ``busy``: this process has appends under way; they go first, somebody waits for them.

        ``pace``: seconds between two looks at least, for what has time.
        """
        self._database = database
        self._busy = busy
        self._projection = projection
        self._backlog = backlog
        self._poll = self._pause = poll
        self._bell = Bell()
        self._named: set[str] = set()
        self._sweep_at = 0.0
        self._rests = Rests(poll)
        self._pace = pace

    def notice(self, payload: str) -> None:
        """Something was appended by any process: ``tenant|stream``."""
        tenant, _, stream = payload.rpartition("|")
        if stream != self._projection.stream:
            return
        if len(self._named) < MOST_NAMED:
            self._named.add(tenant)
        else:
            self._sweep_at = 0.0
        self._bell.ring()

    def wake(self) -> None:
        """Look at all logs now, also at those that rest after a failure: notices were lost, or PostgreSQL is back."""
        self._sweep_at = 0.0
        self._rests.clear()
        self._bell.ring()

    async def run(self) -> None:
        """Project for ever; a failing batch is tried again, never skipped, and holds up its own tenant alone."""
        behind: set[str] = set()
        while True:
            self._bell.quiet()
            started = time.monotonic()
            behind = await self._round(behind)
            if behind:
                await lull(self._busy, max(COURTESY[0] * (time.monotonic() - started), COURTESY[1]))
            else:
                await asyncio.sleep(self._pace)
                await self._bell.wait(self._sweep_at - time.monotonic())

    async def _round(self, tenants: set[str]) -> set[str]:
        """A batch of each of ``tenants``, of those that were named, and of all that are behind when it is time to look.

        Which of them may have more.
        """
        named, self._named = self._named, set()
        try:
            if time.monotonic() >= self._sweep_at:
                named |= set(await self._backlog.tenants(self._projection.name, self._projection.stream))
                self._pause = self._poll
                self._sweep_at = time.monotonic() + self._pause
            return {tenant for tenant in sorted(tenants | named) if await self._turn(tenant)}
        except Exception as failure:  # noqa: BLE001 - the worker must outlive it
            self._tell(failure, "all tenants")
            self._pause = min(self._pause * 2, 30.0)
            self._sweep_at = time.monotonic() + self._pause
            return set()

    async def _turn(self, tenant: str) -> bool:
        """``step`` of a tenant that does not rest; one that fails rests. Raises ``Unavailable``."""
        if self._rests.has(tenant):
            return False
        try:
            more = await self.step(tenant)
        except Unavailable:
            raise
        except Exception as failure:  # noqa: BLE001 - one poisonous event stops its own tenant alone
            self._tell(failure, tenant)
            self._rests.begin(tenant)
            return False
        self._rests.end(tenant)
        return more

    def _tell(self, failure: Exception, whose: str) -> None:
        """Say why a projection stands still; it is tried again."""
        if isinstance(failure, LakefrontError):
            _log.warning("projection %s of %s waits: %s", self._projection.name, whose, failure.message)
        else:
            _log.error("projection %s of %s failed", self._projection.name, whose, exc_info=failure)

    async def step(self, tenant: str) -> bool:
        """Take in one batch of each shard that no other process holds; whether there may be more."""
        more, failures = False, []
        for shard in await behind(self._database, tenant, self._projection):
            try:
                more |= await self._step_shard(tenant, shard)
            except Exception as failure:  # noqa: BLE001 - a shard that fails must not hold up the others
                failures.append(failure)
        if failures:
            raise failures[0]
        return more

    async def _step_shard(self, tenant: str, shard: int) -> bool:
        async with self._database.transaction(tenant) as transaction:
            start = await claim(transaction, tenant, self._projection, shard)
            if start is None:
                return False
            start = await _passed_over(transaction, tenant, self._projection, shard, start)
            taken = await take_batch(transaction, tenant, self._projection, shard, start)
        return taken == BATCH


async def behind(database: Database, tenant: str, projection: Projection) -> list[int]:
    """The shards of the tenant's stream with events that ``projection`` has not taken in. Raises ``Unavailable``."""
    found: list[int] = msgspec.json.decode(await database.text(_BEHIND, tenant, projection.name, projection.stream))
    return found


async def claim(transaction: Transaction, tenant: str, projection: Projection, shard: int) -> int | None:
    """Lock the consumer's row of ``shard`` until the transaction ends: its next offset, or None if another has it."""
    key = (tenant, projection.name, projection.stream, shard)
    find = (
        "SELECT next FROM lakefront.consumer_offsets "
        "WHERE tenant_id = $1 AND consumer = $2 AND stream = $3 AND shard = $4 FOR UPDATE SKIP LOCKED"
    )
    rows = await transaction.fetch(find, *key)
    if not rows:
        await transaction.execute(
            "INSERT INTO lakefront.consumer_offsets (tenant_id, consumer, stream, shard, next) "
            "VALUES ($1, $2, $3, $4, 0) ON CONFLICT DO NOTHING",
            *key,
        )
        rows = await transaction.fetch(find, *key)
    return rows[0][0] if rows else None


async def _passed_over(transaction: Transaction, tenant: str, projection: Projection, shard: int, start: int) -> int:
    """``start``, moved to where ``projection`` wants to begin if that lies behind it."""
    if projection.begin is None:
        return start
    wanted = await projection.begin(transaction, tenant, shard)
    if wanted <= start:
        return start
    await _move(transaction, tenant, projection, shard, wanted)
    return wanted


async def take_batch(transaction: Transaction, tenant: str, projection: Projection, shard: int, start: int) -> int:
    """Fold the hot log's events of ``shard`` from ``start`` on, at most BATCH, and move the offset; how many it took.

    Raises ``InternalError`` when the log was trimmed past ``start`` or has a gap: a projection has every event, or
    stands still.
    """
    events = await transaction.fetch(
        'SELECT shard, "offset", event_id, event_type, partition_key, occurred_at, ingested_at, payload, trace_id '
        'FROM lakefront.events WHERE tenant_id = $1 AND stream = $2 AND shard = $3 AND "offset" >= $4 '
        'ORDER BY "offset" LIMIT $5',
        *(tenant, projection.stream, shard, start, BATCH),
    )
    # Asked after the events, as a trim says first what will be gone: what was not there to be read is missed for sure.
    if start < await _first(transaction, tenant, projection, shard):
        raise InternalError(
            f"Offset {start} of shard {shard} is in the lake alone. Run `lakefront rebuild {projection.name}`."
        )
    if events and events[-1]["offset"] - start != len(events) - 1:
        raise InternalError(
            f"Shard {shard} has lost an event at or after offset {start}. Restore the log from a backup."
        )
    if events:
        traces = tracing.of_recent((event["trace_id"], event["ingested_at"]) for event in events)
        with tracing.spans("lakefront.project", traces, projection=projection.name, shard=shard, events=len(events)):
            await projection.project(transaction, tenant, events)
        await _move(transaction, tenant, projection, shard, events[-1]["offset"] + 1)
    return len(events)


async def _first(transaction: Transaction, tenant: str, projection: Projection, shard: int) -> int:
    """Where the hot log of ``shard`` begins."""
    rows = await transaction.fetch(
        "SELECT first FROM lakefront.heads WHERE tenant_id = $1 AND stream = $2 AND shard = $3",
        *(tenant, projection.stream, shard),
    )
    return rows[0][0] if rows else 0


async def _move(transaction: Transaction, tenant: str, projection: Projection, shard: int, to: int) -> None:
    """Set the consumer's next offset, and tell those who wait for it."""
    await transaction.execute(
        "WITH moved AS (UPDATE lakefront.consumer_offsets SET next = $5 "
        "WHERE tenant_id = $1 AND consumer = $2 AND stream = $3 AND shard = $4 RETURNING 1) "
        "SELECT pg_notify($6, $7) FROM moved",
        *(tenant, projection.name, projection.stream, shard, to),
        *(CHANNEL, f"{tenant}|{projection.name}"),
    )


async def rebuild(database: Database, tenant: str, projection: Projection, history: History | None = None) -> int:
    """Fold the whole log anew, in one transaction: readers see the old rows until it commits. How many events it took.

    What was trimmed from the hot log comes from the lake; without a ``history`` of it a trimmed log raises
    ``Unavailable``, and nothing is changed. The projection's own progress waits meanwhile, and goes on from where the
    rebuild ended.
    """
    total = 0
    async with database.transaction(tenant, hurry=False) as transaction:
        key = (tenant, projection.name, projection.stream)
        # A shard that the projection never took an event of has no row yet, and would be left out.
        await transaction.execute(
            "INSERT INTO lakefront.consumer_offsets (tenant_id, consumer, stream, shard, next) "
            "SELECT tenant_id, $2, stream, shard, 0 FROM lakefront.heads WHERE tenant_id = $1 AND stream = $3 "
            "ORDER BY shard ON CONFLICT DO NOTHING",
            *key,
        )
        # SKIP LOCKED would miss a row that a runner holds right now: wait for each.
        locked = await transaction.fetch(
            "SELECT shard FROM lakefront.consumer_offsets WHERE tenant_id = $1 AND consumer = $2 AND stream = $3 "
            "ORDER BY shard FOR UPDATE",
            *key,
        )
        await projection.clear(transaction, tenant)
        for (shard,) in locked:
            start = await _from_lake(transaction, tenant, projection, shard, history)
            while taken := await take_batch(transaction, tenant, projection, shard, start):
                start += taken
            await _move(transaction, tenant, projection, shard, start)  # also where the hot log has nothing left
            total += start
    return total


async def _from_lake(
    transaction: Transaction, tenant: str, projection: Projection, shard: int, history: History | None
) -> int:
    """Fold what the hot log no longer has of ``shard``; where the hot log begins."""
    start, end = 0, await _first(transaction, tenant, projection, shard)
    while start < end:
        if history is None:
            raise Unavailable("The log was trimmed, and its beginning is in the lake alone: read the lake, too.")
        events = await history.events(tenant, projection.stream, shard, start, min(BATCH, end - start))
        await projection.project(transaction, tenant, [asdict(event) for event in events])
        start += len(events)
    return start
