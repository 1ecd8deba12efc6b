"""Results that are kept by a key: whoever runs may ask for connections, however many others do (X2)."""

import asyncio

import pytest

from lakefront.actor import Actor
from lakefront.db.database import Database
from lakefront.domain.idempotency import once, result_of
from lakefront.errors import IdempotencyConflict


async def test_what_runs_may_ask_for_a_connection(database: Database, actor: Actor) -> None:
    async def run() -> int:
        await asyncio.sleep(0.01)
        await database.ping()
        return 7

    async with asyncio.timeout(5):
        found = await asyncio.gather(
            *(once(database, actor, "count", f"k{number}", b"", run) for number in range(3 * database.pool_size))
        )
    assert set(found) == {7}


async def test_half_of_the_pool_is_left_to_others(database: Database, actor: Actor) -> None:
    go = asyncio.Event()
    running = [
        asyncio.create_task(once(database, actor, "wait", f"k{number}", b"", go.wait))
        for number in range(2 * database.pool_size)
    ]
    async with asyncio.timeout(5):
        await asyncio.gather(*(database.ping() for _ in range(50)))
    go.set()
    assert await asyncio.gather(*running) == [True] * len(running)


async def test_a_result_is_told_without_running(database: Database, actor: Actor) -> None:
    async def run() -> str:
        return "done"

    assert await result_of(database, actor, "do", "k", b"body") is None
    await once(database, actor, "do", "k", b"body", run)
    assert await result_of(database, actor, "do", "k", b"body") == "done"
    with pytest.raises(IdempotencyConflict):
        await result_of(database, actor, "do", "k", b"other")
