"""Moving windows: the same rule in Redis and in one process, exact under concurrency, quick while Redis is away."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lakefront.db.embedded import EmbeddedRedis
from lakefront.server.limits.local import LocalWindows
from lakefront.server.limits.policies import Policy
from lakefront.server.limits.shared import PATIENCE, SharedWindows, Taken
from lakefront.server.limits.windows import Windows

THREE = Policy.of("user", "3/second")
MANY = Policy.of("user", "50/minute")

Take = Callable[[str, Policy, int], Awaitable[Taken]]


def client_of(url: str) -> "Redis":
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0))


@pytest.fixture
async def redis(redis_url: str) -> "AsyncIterator[Redis]":
    async with client_of(redis_url) as client:
        yield client


@pytest.fixture(params=["shared", "local"])
def take(request: pytest.FixtureRequest, redis: "Redis") -> Take:
    shared, local = SharedWindows(redis, patience=5), LocalWindows()

    async def taken(key: str, policy: Policy, amount: int) -> Taken:
        if request.param == "shared":
            return await shared.take(key, policy.item, amount)
        return local.take(key, policy.item, amount)

    return taken


async def test_a_window_lets_in_as_many_as_it_holds(take: Take) -> None:
    taken = [await take("a", THREE, 1) for _ in range(4)]
    assert [(each.wait is None, each.count) for each in taken] == [(True, 1), (True, 2), (True, 3), (False, 3)]
    refused = taken[-1]
    assert refused.wait is not None
    assert 0 < refused.wait <= 1
    assert refused.reset == pytest.approx(refused.wait, abs=0.01)
    assert (await take("b", THREE, 1)).wait is None


async def test_a_window_moves(take: Take) -> None:
    await take("a", THREE, 1)
    await asyncio.sleep(0.6)
    await take("a", THREE, 2)
    refused = await take("a", THREE, 1)
    assert refused.wait is not None
    assert refused.wait < 0.41  # when the first leaves, not when all do
    await asyncio.sleep(refused.wait + 0.02)
    assert (await take("a", THREE, 1)).wait is None
    assert (await take("a", THREE, 1)).wait is not None


async def test_an_amount_is_taken_whole_or_not_at_all(take: Take) -> None:
    assert (await take("a", THREE, 2)).count == 2
    refused = await take("a", THREE, 2)
    assert refused.wait is not None
    assert refused.count == 2
    assert (await take("a", THREE, 1)).count == 3
    never = await take("b", THREE, 4)
    assert never.wait == pytest.approx(1, abs=0.01)
    assert never.count == 0


async def test_servers_share_windows_and_count_exactly(redis_url: str) -> None:
    async with client_of(redis_url) as one, client_of(redis_url) as other:
        servers = [Windows(one, patience=5), Windows(other, patience=5)]
        standings = await asyncio.gather(*(servers[n % 2].take(MANY, "city/ann") for n in range(300)))
        assert sum(standing.wait is None for standing in standings) == 50
        assert {standing.remaining for standing in standings if standing.wait is None} == set(range(50))


async def test_requests_that_wait_share_a_round_trip(redis: "Redis") -> None:
    windows = Windows(redis, patience=5)
    await windows.take(MANY, "warm")
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await asyncio.gather(*(windows.take(MANY, f"user {n}") for n in range(100)))
    asked = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before
    assert asked == 1


async def test_whoever_has_used_all_costs_no_round_trip(redis: "Redis") -> None:
    windows = Windows(redis, patience=5)
    for _ in range(3):
        standing = await windows.take(THREE, "city/ann")
    assert (standing.remaining, standing.wait) == (0, None)
    await redis.flushall()  # were Redis asked, there would be room
    again = await windows.take(THREE, "city/ann")
    assert again.wait is not None
    assert again.wait <= standing.reset
    assert windows.full(THREE, "city/ann") is not None
    await asyncio.sleep(again.wait)
    assert (await windows.take(THREE, "city/ann")).wait is None
    assert windows.full(THREE, "city/ann") is None


async def test_redis_holds_no_subjects_and_forgets(redis: "Redis") -> None:
    await Windows(redis, patience=5).take(THREE, "city/ann@example.org")
    [key] = await redis.keys("lakefront:limit:*")
    assert b"ann" not in key
    assert 0 < await redis.pttl(key) <= 1000


async def test_a_killed_redis_is_noticed_once_and_a_new_one_found(
    short_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="lakefront.server.limits")
    server = EmbeddedRedis(short_folder / "redis")  # started anew its socket is where it was
    await server.start()
    async with client_of(server.url) as client:
        windows = Windows(client)
        assert (await windows.take(THREE, "a")).remaining == 2
        await server.stop()
        began = time.perf_counter()
        standings = [await windows.take(THREE, "a") for _ in range(4)]
        assert time.perf_counter() - began < 1
        # It was let in once before: the process knows what it did itself.
        assert [standing.wait is None for standing in standings] == [True, True, False, False]
        assert [record.message for record in caplog.records] == [
            "Redis is away: requests are counted by this process alone until it is back"
        ]
        await server.start()
        try:
            await asyncio.sleep(1.1)
            assert (await windows.take(THREE, "a")).remaining == 2
            assert caplog.records[-1].message == "Redis is back: requests are counted for all servers again"
        finally:
            await server.stop()


async def test_a_redis_that_hangs_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with client_of(f"redis://127.0.0.1:{port}") as client:
            windows = Windows(client)
            began = time.perf_counter()
            first = [asyncio.create_task(windows.take(MANY, f"user {n}")) for n in range(20)]
            await asyncio.sleep(PATIENCE / 2)
            later = [asyncio.create_task(windows.take(MANY, f"late {n}")) for n in range(20)]
            standings = await asyncio.gather(*first, *later)
            took = time.perf_counter() - began
            assert PATIENCE / 2 < took < 1
            assert all(standing.wait is None for standing in standings)
            assert not caplog.records  # once may be our own doing
            await windows.take(MANY, "once more")
            assert [record.levelname for record in caplog.records] == ["WARNING"]
            began = time.perf_counter()
            for n in range(10):
                await windows.take(MANY, f"next {n}")
            assert time.perf_counter() - began < 5 * PATIENCE  # nobody asks for a second


async def test_a_client_that_leaves_takes_nothing_from_the_others(redis: "Redis") -> None:
    windows = Windows(redis, patience=5)
    tasks = [asyncio.create_task(windows.take(MANY, "city/ann")) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.result().wait is None for task in tasks[1::2])
    assert (await windows.take(MANY, "city/ann")).wait is None


async def test_local_windows_are_bounded() -> None:
    local = LocalWindows(most=10)
    for n in range(1000):
        local.take(f"address {n}", THREE.item, 1)
    assert len(local._windows) == 10
