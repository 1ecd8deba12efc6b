"""An outside system of the tests, the handler of its jobs, and a worker that is quick."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from redis.asyncio import Redis

from lakefront.actor import CITY
from lakefront.db.database import APP_ROLE, Database, Transaction
from lakefront.db.row_security import secured
from lakefront.domain.outbox import Handler, Job, NewJob, OutboxWorker, Pace, enqueue, nothing_sent, record
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError, UpstreamUncertain

QUICK = Pace(
    poll=0.02,
    sweep=0.05,
    lease=0.6,
    look_up_after=0.1,
    longest=2.0,
    grace=0.05,
    first_pause=0.01,
    longest_pause=0.04,
    retry_for=0.15,
    looking_for=0.9,
)

PATIENCE = 15.0
"""Seconds that something of a worker may take on a busy machine."""


class Killed(BaseException):
    """The worker ends here, without another word."""


@dataclass(frozen=True, slots=True)
class Step:
    """How one try goes: it fails ``before`` or ``after`` the outside system did it, takes ``seconds``, or goes well."""

    before: BaseException | None = None
    after: BaseException | None = None
    unsent: LakefrontError | None = None
    seconds: float = 0.0


class Outside:
    """Counts what reached it, by a job's key. ``finds``: it can tell what it has done."""

    kind = "test.call"

    def __init__(self, *, finds: bool = True) -> None:
        self.steps: defaultdict[str, list[Step]] = defaultdict(list)
        self.done: Counter[str] = Counter()
        self.order: list[str] = []
        self.tried: Counter[str] = Counter()
        self.looked_up: Counter[str] = Counter()
        self.look_ups: list[Exception] = []
        self.given_up: list[tuple[str, str, bool]] = []
        self._finds = finds

    async def run(self, services: Services, job: Job) -> None:
        """As the next step says."""
        self.tried[job.key] += 1
        steps = self.steps[job.key]
        step = steps.pop(0) if steps else Step()
        with nothing_sent():
            _raise(step.unsent)
        _raise(step.before)
        await asyncio.sleep(step.seconds)
        self.done[job.key] += 1
        self.order.append(f"{job.key}:{job.payload.get('number', '')}")
        _raise(step.after)
        await record(services.database, job, lambda transaction: write(transaction, job))

    async def look_up(self, services: Services, job: Job) -> None:
        """Whether it was done; it is done again where it was not."""
        self.looked_up[job.key] += 1
        if self.look_ups:
            raise self.look_ups.pop(0)
        if not self._finds:
            raise UpstreamUncertain
        if self.done[job.key]:
            await record(services.database, job, lambda transaction: write(transaction, job))
        else:
            await self.run(services, job)

    async def gave_up(self, transaction: Transaction, job: Job, error: LakefrontError, *, uncertain: bool) -> None:
        """Note it, in the transaction."""
        await transaction.execute(
            "INSERT INTO lakefront.results VALUES ($1, $2, $3)", job.tenant, job.key, f"gave up: {error.code}"
        )
        self.given_up.append((job.key, error.code, uncertain))


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


async def write(transaction: Transaction, job: Job) -> None:
    """The domain's own row."""
    await transaction.execute("INSERT INTO lakefront.results VALUES ($1, $2, 'done')", job.tenant, job.key)


async def make_results(dsn: str) -> None:
    """Make the table of the domain's own rows; nothing keeps it from having a result twice."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE TABLE lakefront.results (tenant_id text, key text, result text)")
        await connection.execute(f"GRANT SELECT, INSERT ON lakefront.results TO {APP_ROLE}")
        for statement in secured("lakefront.results"):
            await connection.execute(statement)
    finally:
        await connection.close()


async def put(database: Database, key: str, *, tenant: str = CITY, **options: Any) -> UUID:
    """Enqueue a job of the tests'."""
    given = {"kind": Outside.kind, "provider": "probe", "city": "", "payload": {}, "trace_id": "ab" * 16} | options
    async with database.transaction(tenant) as transaction:
        return await enqueue(transaction, tenant, NewJob(key=key, **given))


@asynccontextmanager
async def working(
    services: Services, redis: "Redis | None", *handlers: Handler, pace: Pace = QUICK
) -> AsyncIterator[OutboxWorker]:
    """A worker until the block ends, where it dies within a moment."""
    worker = OutboxWorker(services, redis, handlers, pace=pace)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        running.cancel()
        await worker.close()
        await asyncio.gather(running, return_exceptions=True)


async def job(database: Database, job_id: UUID, tenant: str = CITY) -> Any:
    """The job's row."""
    async with database.transaction(tenant) as transaction:
        [row] = await transaction.fetch("SELECT * FROM lakefront.outbox WHERE job_id = $1", job_id)
    return row


async def rows(database: Database, statement: str, *values: Any, tenant: str = CITY) -> list[Any]:
    """The rows of a statement."""
    async with database.transaction(tenant) as transaction:
        return await transaction.fetch(statement, *values)


async def results(database: Database, tenant: str = CITY) -> dict[str, list[str]]:
    """The domain's own rows: key -> what was written."""
    found: dict[str, list[str]] = {}
    for row in await rows(database, "SELECT key, result FROM lakefront.results", tenant=tenant):
        found.setdefault(row["key"], []).append(row["result"])
    return found


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return as soon as ``condition`` holds; raises ``TimeoutError``."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - nobody sets an event for a row
            await asyncio.sleep(0.01)


async def until_state(database: Database, job_id: UUID, *states: str, tenant: str = CITY) -> Any:
    """The job's row, once it is in one of ``states``."""

    async def there() -> bool:
        return (await job(database, job_id, tenant))["state"] in states

    await until(there)
    return await job(database, job_id, tenant)
