"""The application's door: what a caller is told, and when, of a PostgreSQL that says nothing any more."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from lakefront.actor import CITY
from lakefront.db.database import APP_ROLE, SLACK, Database, connect
from lakefront.errors import Unavailable
from tests.db.silent import SilentProxy, silent_proxy

STATEMENT_TIMEOUT = 0.3


@pytest.fixture
async def proxy(parts_folder: Path, dsn: str) -> AsyncIterator[SilentProxy]:
    with tempfile.TemporaryDirectory(dir=parts_folder) as folder:
        async with silent_proxy(Path(folder), dsn) as opened:
            yield opened


@pytest.fixture
async def behind(proxy: SilentProxy) -> AsyncIterator[Database]:
    """A door through the proxy, for three at a time."""
    opened = Database(proxy.dsn, pool_size=3, statement_timeout=STATEMENT_TIMEOUT)
    await opened.open()
    yield opened
    proxy.silent = False
    await opened.close()


async def test_a_host_that_vanishes_is_unavailable_in_time(proxy: SilentProxy, behind: Database) -> None:
    within = asyncio.Barrier(3)

    async def ask() -> None:
        await behind.text("SELECT '1'::json")
        await within.wait()
        proxy.silent = True
        await behind.text("SELECT '1'::json")

    async def transact(*, then: bool) -> None:
        async with behind.transaction(CITY) as transaction:
            await within.wait()
            proxy.silent = True
            if then:
                await transaction.fetch("SELECT 1")

    started = time.monotonic()
    async with asyncio.timeout(3 * SLACK):
        failures = await asyncio.gather(ask(), transact(then=True), transact(then=False), return_exceptions=True)
    assert [type(failure) for failure in failures] == [Unavailable] * 3
    assert time.monotonic() - started < STATEMENT_TIMEOUT + SLACK + 2
    assert behind.connections == (0, 0), "none of them is used again"
    proxy.silent = False
    assert await behind.text("SELECT '1'::json") == b"1"


async def test_a_connection_of_ones_own_has_the_same_clock(proxy: SilentProxy) -> None:
    connection = await connect(proxy.dsn, APP_ROLE, statement_timeout=STATEMENT_TIMEOUT)
    with pytest.raises(asyncpg.QueryCanceledError):
        await connection.fetchval("SELECT pg_sleep(20)")  # PostgreSQL's own clock comes first
    proxy.silent = True
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT 1")
    assert time.monotonic() - started < STATEMENT_TIMEOUT + SLACK + 2
    connection.terminate()


async def test_a_transaction_without_a_clock(behind: Database) -> None:
    async with behind.transaction(CITY, hurry=False) as transaction:
        await transaction.execute("SELECT pg_sleep($1)", STATEMENT_TIMEOUT + SLACK + 0.5)
    with pytest.raises(asyncpg.QueryCanceledError):
        async with behind.transaction(CITY) as transaction:
            await transaction.execute("SELECT pg_sleep(20)")


async def test_a_queue_of_notices_that_is_full_is_unavailable(dsn: str, database: Database) -> None:
    """What fails when the transaction is committed is not the caller's fault; within it, it may be."""
    operator = await asyncpg.connect(dsn)
    await operator.execute("""
        CREATE FUNCTION public.full_queue() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          RAISE EXCEPTION 'too many notifications in the NOTIFY queue' USING ERRCODE = 'program_limit_exceeded';
        END $$;
        CREATE CONSTRAINT TRIGGER full_queue AFTER INSERT ON lakefront.idempotency_keys DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION public.full_queue()
    """)
    insert = (
        "INSERT INTO lakefront.idempotency_keys (tenant_id, subject, operation, key, body, result, created_at) "
        "VALUES ('city', '', '', 'one', gen_random_uuid(), 'null', now())"
    )

    async def fail(when: str) -> None:
        async with database.transaction(CITY) as transaction:
            await transaction.execute(f"SET CONSTRAINTS ALL {when}")
            await transaction.execute(insert)

    with pytest.raises(Unavailable):
        await fail("DEFERRED")
    with pytest.raises(asyncpg.ProgramLimitExceededError):
        await fail("IMMEDIATE")
    await operator.close()
