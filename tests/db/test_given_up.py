"""A statement that was prepared and never ran leaves nothing behind: asyncpg prepares without ending the exchange.

PostgreSQL would stay in that statement until the next one, with its clock running, and cancel what the connection is
used for next.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from lakefront.db.database import Database

TIMEOUT = 0.5
"""Seconds that a statement has."""


@pytest.fixture
async def hurried(dsn: str) -> AsyncIterator[Database]:
    """A pool of one connection."""
    opened = Database(dsn, pool_size=1, statement_timeout=TIMEOUT)
    await opened.open()
    yield opened
    await opened.close()


async def test_a_value_that_cannot_be_sent(hurried: Database) -> None:
    with pytest.raises(asyncpg.DataError):
        await hurried.value("SELECT $1::int", "no number")
    await asyncio.sleep(2 * TIMEOUT)
    assert await hurried.value("SELECT 1") == 1


async def test_a_value_that_cannot_be_sent_in_a_transaction(hurried: Database) -> None:
    with pytest.raises(asyncpg.DataError):
        async with hurried.transaction("city") as transaction:
            await transaction.execute("SELECT $1::int", "no number")
    await asyncio.sleep(2 * TIMEOUT)
    assert await hurried.value("SELECT 1") == 1


async def test_whoever_goes_away_between_preparing_and_running(hurried: Database) -> None:
    pids = set()
    for steps in range(40):
        asking = asyncio.create_task(hurried.value(f"SELECT {steps} + $1::int", 1))
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with hurried._connection() as connection:
            pids.add(connection.get_server_pid())
            await asyncio.sleep(0)
        if steps % 10 == 9:
            await asyncio.sleep(1.5 * TIMEOUT)
            assert await hurried.value("SELECT 1") == 1
    assert len(pids) < 10, "connections are thrown away instead of settled"
