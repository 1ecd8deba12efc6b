"""More that want a connection than there are: each gets one in its turn, whoever leaves, whatever breaks."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from lakefront.actor import CITY
from lakefront.db.database import Database
from lakefront.errors import Unavailable


@pytest.fixture
async def small(dsn: str) -> AsyncIterator[Database]:
    """Two connections."""
    database = Database(dsn, pool_size=2)
    await database.open()
    yield database
    await database.close()


async def test_all_get_one_in_their_turn(small: Database) -> None:
    ended: list[int] = []

    async def ask(number: int) -> None:
        await small.value("SELECT pg_sleep(0.005) IS NOT NULL")
        ended.append(number)

    await asyncio.gather(*(ask(number) for number in range(40)))
    assert sorted(ended) == list(range(40))
    assert small.connections == (0, 2)


async def test_who_leaves_as_its_turn_comes_takes_no_connection_along(small: Database) -> None:
    for _ in range(20):
        async with small.transaction(CITY), small.transaction(CITY):
            waiting = [asyncio.create_task(small.value("SELECT 1")) for _ in range(4)]
            await asyncio.sleep(0)
        for task in waiting[::2]:  # they were handed one, and have not heard of it
            task.cancel()
        assert await asyncio.gather(*waiting[1::2]) == [1, 1]
        await asyncio.gather(*waiting, return_exceptions=True)
    assert small.connections[0] == 0
    assert await asyncio.gather(*(small.value("SELECT 1") for _ in range(5))) == [1] * 5


async def test_who_waits_gets_a_new_one_where_one_broke(small: Database, dsn: str) -> None:
    killer = await asyncpg.connect(dsn)
    asked = [asyncio.create_task(small.value("SELECT pg_sleep(0.2) IS NOT NULL")) for _ in range(2)]
    async with asyncio.timeout(3):
        while len(found := await killer.fetch(_SLEEPING)) < 2:  # noqa: ASYNC110 - PostgreSQL sets no event
            await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(small.value("SELECT 1")) for _ in range(6)]
    await asyncio.sleep(0.01)
    await killer.execute("SELECT pg_terminate_backend($1)", found[0]["pid"])
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in told if isinstance(each, BaseException)] == [Unavailable]
    assert await asyncio.gather(*waiting) == [1] * 6
    await killer.close()


async def test_who_waits_too_long_is_told(small: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakefront.db.database.WAITING", 0.1)
    async with small.transaction(CITY), small.transaction(CITY):
        with pytest.raises(Unavailable):
            await small.value("SELECT 1")
    assert await small.value("SELECT 1") == 1


async def test_who_waits_when_all_ends_is_told(dsn: str) -> None:
    database = Database(dsn, pool_size=1)
    await database.open()
    async with database.transaction(CITY):
        waiting = asyncio.create_task(database.value("SELECT 1"))
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0.01)
    with pytest.raises(Unavailable):
        await waiting
    await closing


_SLEEPING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%pg_sleep%' AND state = 'active'
"""
