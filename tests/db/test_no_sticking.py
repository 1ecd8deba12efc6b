"""The tenant never sticks: whatever ends a use of a connection, the next one finds no tenant set."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from lakefront.db.database import Database
from lakefront.db.tables import permits
from lakefront.errors import Unavailable

LEFT = """
SELECT to_json(
  coalesce(current_setting('lakefront.tenant', true), '') || coalesce(current_setting('lakefront.subject', true), ''))
"""

Use = Callable[[Database, str], Awaitable[None]]
"""One use of a connection as a tenant."""


class Wrong(Exception):
    """What a caller's own code raises."""


async def reads(database: Database, tenant: str) -> None:
    rows = await database.rows(tenant, select(permits.permits))
    assert {row["tenant_id"] for row in rows} <= {tenant}


async def fails(database: Database, tenant: str) -> None:
    await database.text(
        "SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN to_json(1 / 0) END", tenant
    )


async def commits(database: Database, tenant: str) -> None:
    async with database.transaction(tenant) as transaction:
        [(seen,)] = await transaction.fetch("SELECT current_setting('lakefront.tenant')")
        assert seen == tenant
        await transaction.fetch("SELECT pg_sleep(0.001)")


async def fails_within(database: Database, tenant: str) -> None:
    async with database.transaction(tenant) as transaction:
        await transaction.fetch("SELECT 1 / 0")


async def raises_within(database: Database, tenant: str) -> None:
    async with database.transaction(tenant) as transaction:
        await transaction.fetch("SELECT 1")
        raise Wrong


async def goes_on_after_a_failure(database: Database, tenant: str) -> None:
    async with database.transaction(tenant) as transaction:
        with suppress(asyncpg.PostgresError):
            await transaction.fetch("SELECT 1 / 0")
        await asyncio.sleep(0)


async def is_slow(database: Database, tenant: str) -> None:
    await database.text(
        "SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN (SELECT to_json(1) FROM pg_sleep(0.02)) "
        "END",
        tenant,
    )


async def runs_out_of_time(database: Database, tenant: str) -> None:
    async with database.transaction(tenant) as transaction:
        await transaction.execute("SET LOCAL statement_timeout = 1")
        await transaction.fetch("SELECT pg_sleep(1)")


async def loses_its_connection(database: Database, tenant: str) -> None:
    async with database.transaction(tenant) as transaction:
        await transaction.fetch("SELECT pg_terminate_backend(pg_backend_pid())")


USES: tuple[Use, ...] = (
    *(reads, fails, commits, fails_within, raises_within, goes_on_after_a_failure, is_slow, runs_out_of_time),
    loses_its_connection,
)
EXPECTED = (asyncpg.PostgresError, Unavailable, Wrong, asyncio.CancelledError)


async def looked(database: Database, times: int) -> set[bytes]:
    """What ``times`` users at once find set, who set nothing."""
    return set(await asyncio.gather(*(database.text(LEFT) for _ in range(times))))


async def use(database: Database, step: tuple[int, int, float | None]) -> None:
    """One use as one tenant, cancelled after some time if given; then a look at whatever connection comes."""
    which, tenant, until = step
    task = asyncio.ensure_future(USES[which](database, f"tenant{tenant}"))
    if until is not None:
        await asyncio.sleep(until)
        task.cancel()
    with suppress(*EXPECTED):
        await task
    assert await database.text(LEFT) == b'""'


STEPS = st.lists(
    st.tuples(
        st.integers(0, len(USES) - 1),
        st.integers(0, 3),
        st.none() | st.sampled_from([0.0, 0.0005, 0.001, 0.002, 0.005, 0.01]),
    ),
    min_size=5,
    max_size=40,
)


@pytest.mark.parametrize("size", [1, 3])
async def test_it_never_sticks_whatever_ends_a_use(dsn: str, size: int) -> None:
    database = Database(dsn, pool_size=size)
    await database.open()
    failures: list[BaseException] = []

    @settings(max_examples=25, database=None, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def interleaved(steps: list[tuple[int, int, float | None]]) -> None:
        async def run() -> None:
            async with asyncio.timeout(30):
                await asyncio.gather(*(use(database, step) for step in steps))
                assert await looked(database, size) == {b'""'}

        try:
            asyncio.run_coroutine_threadsafe(run(), loop).result()
        except BaseException as failure:
            failures.append(failure)
            raise

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(interleaved)
    await database.close()
    assert not failures


async def test_it_never_sticks_wherever_a_use_is_cancelled(dsn: str) -> None:
    """Each use, cancelled at each of its awaits in turn: before the first round trip, in it, between, at the end."""
    database = Database(dsn, pool_size=1)
    await database.open()
    for step in (reads, fails, commits, raises_within, fails_within):
        for awaits in range(60):
            coroutine = step(database, "acme")
            task = asyncio.ensure_future(coroutine)
            for _ in range(awaits):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(*EXPECTED):
                await task
            assert await database.text(LEFT) == b'""', f"{step.__name__} cancelled after {awaits} turns of the loop"
    await database.close()


async def test_the_check_bites(dsn: str) -> None:
    """The control: a tenant that is set for the session, not for the transaction, is found by the next one."""
    database = Database(dsn, pool_size=1)
    await database.open()
    async with database._connection() as connection:
        await connection.fetchval("SELECT set_config('lakefront.tenant', 'acme', false)")
    assert await database.text(LEFT) == b'"acme"'
    await database.close()


async def test_a_transaction_that_is_left_open_is_never_handed_on(dsn: str) -> None:
    database = Database(dsn, pool_size=1)
    await database.open()
    async with database._connection() as connection:
        await connection.execute("BEGIN; SELECT set_config('lakefront.tenant', 'acme', true)")
    assert await database.text(LEFT) == b'""'
    await database.close()
