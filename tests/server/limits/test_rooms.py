"""Where there is plenty of room nobody waits for Redis; near the limit it is exact, what servers exceed is bounded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import parse
from redis.asyncio import Redis

from lakefront.db.embedded import EmbeddedRedis
from lakefront.redis_scripts import AHEAD
from lakefront.server.limits import windows
from lakefront.server.limits.policies import Policy
from lakefront.server.limits.rooms import Standing
from lakefront.server.limits.windows import Windows

WINDOW = Policy.of("user", "1000/hour")
BUCKET = Policy("cost", parse("1000/hour"), bucket=True)
BOTH = pytest.mark.parametrize("policy", [WINDOW, BUCKET], ids=["window", "bucket"])


@asynccontextmanager
async def servers(url: str, number: int = 2) -> "AsyncIterator[list[Windows]]":
    """Servers that share one Redis, each with connections of its own."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(number):
            made.append(Windows(await stack.enter_async_context(Redis.from_url(url)), patience=5))
            stack.push_async_callback(made[-1].close)
        yield made


async def asked(redis: "Redis") -> int:
    """How often Redis was asked."""
    return int((await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0))


async def rush(server: Windows, policy: Policy, who: str, amount: int) -> int:
    """What is let in until there is no room, one after the other."""
    let_in = 0
    while (await server.take(policy, who, amount)).wait is None:
        let_in += amount
        await asyncio.sleep(0)
    return let_in


@pytest.fixture
async def redis(redis_url: str) -> "AsyncIterator[Redis]":
    async with Redis.from_url(redis_url) as client:
        yield client


@BOTH
async def test_with_plenty_of_room_redis_hears_of_all_in_a_moment(
    policy: Policy, redis: "Redis", redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "MOMENT", 1)
    monkeypatch.setattr(windows, "FRESH", 30)
    async with servers(redis_url) as [here, there]:
        people = [f"user {n}" for n in range(20)]
        await asyncio.gather(*(here.take(policy, who) for who in people))
        before = await asked(redis)
        standings = [await here.take(policy, who) for _ in range(policy.ahead) for who in people]
        assert [standing.remaining for standing in standings[:: len(people)]] == list(range(998, 948, -1))
        assert await asked(redis) == before
        await asyncio.sleep(1.5)
        assert await asked(redis) == before + 1, "one round trip for all of them"
        assert {(await there.take(policy, who)).remaining for who in people} == {948}
        assert 3599 * policy.ahead / 1000 - 10 < standings[-1].reset <= 3600


async def test_limits_of_a_few_are_counted_one_by_one(redis: "Redis", redis_url: str) -> None:
    few = Policy.of("field", f"{AHEAD - 1}/hour")
    async with servers(redis_url) as [here, there]:
        before = await asked(redis)
        remaining = [(await server.take(few, "ann")).remaining for _ in range(3) for server in (here, there)]
        assert remaining == [18, 17, 16, 15, 14, 13]
        assert await asked(redis) == before + 6


@BOTH
@pytest.mark.parametrize("at_once", [1, 8, 1000])
async def test_one_server_lets_in_no_more_than_the_limit(policy: Policy, at_once: int, redis_url: str) -> None:
    async with servers(redis_url, 1) as [server]:
        assert sum(await asyncio.gather(*(rush(server, policy, "ann", 3) for _ in range(at_once)))) == 999


@BOTH
async def test_servers_in_a_rush_exceed_the_limit_by_what_they_may(policy: Policy, redis_url: str) -> None:
    async with servers(redis_url, 3) as together:
        let_in = await asyncio.gather(*(rush(together[n % 3], policy, "ann", 1) for n in range(12)))
        assert 1000 <= sum(let_in) <= 1000 + 3 * policy.ahead


@BOTH
async def test_what_servers_exceed_a_limit_by_is_bounded_and_counts(
    policy: Policy, redis: "Redis", redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst that can be: all is taken elsewhere, just after each was told that there is plenty."""
    monkeypatch.setattr(windows, "MOMENT", 60)
    async with servers(redis_url, 3) as [one, two, greedy]:
        for server in (one, two):
            await server.take(policy, "ann")
        assert (await greedy.take(policy, "ann", 998)).wait is None
        over = await asyncio.gather(*(rush(server, policy, "ann", 1) for server in (one, two)))
        assert over == [policy.ahead, policy.ahead]
        assert (await greedy.take(policy, "ann")).wait is not None
    refused = await Windows(redis, patience=5).take(policy, "ann", 900)
    assert refused.wait is not None
    assert refused.remaining == 0
    if policy.bucket:
        assert refused.wait > 3600 * 0.99, "what was over must come back into the bucket, too"


STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "take", "take", "tell", "wait"]), st.integers(0, 1), st.integers(1, 7)),
    max_size=80,
)


@settings(max_examples=60)
@given(bucket=st.booleans(), limit=st.integers(1, 120), alone=st.booleans(), steps=STEPS)
async def test_whatever_comes_the_bound_holds(
    redis_server: EmbeddedRedis, bucket: bool, limit: int, alone: bool, steps: list[tuple[str, int, int]]
) -> None:
    policy, who = Policy("any", parse(f"{limit}/day"), bucket=bucket), uuid4().hex
    async with servers(redis_server.url, 3) as [*together, other]:
        attempts: list[tuple[int, asyncio.Task[Standing]]] = []
        for step, number, amount in steps:
            server = together[0 if alone else number]
            if step == "take":
                attempts.append((amount, asyncio.create_task(server.take(policy, who, amount))))
                await asyncio.sleep(0)
            elif step == "tell":
                await server.close()
            else:
                await asyncio.gather(*(task for _, task in attempts))
        let_in = sum([amount for amount, task in attempts if (await task).wait is None])
        assert let_in <= limit + (0 if alone else 2 * policy.ahead)
        for server in together:
            await server.close()
        if let_in < limit:
            assert (await other.take(policy, who)).remaining == limit - let_in - 1
        else:
            assert (await other.take(policy, who)).wait is not None


async def test_who_has_not_asked_for_a_while_is_asked_about(
    redis: "Redis", redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "FRESH", 0.05)
    async with servers(redis_url) as [here, there]:
        assert (await here.take(WINDOW, "ann")).remaining == 999
        assert (await there.take(WINDOW, "ann", 10)).remaining == 989
        await asyncio.sleep(0.1)
        before = await asked(redis)
        assert (await here.take(WINDOW, "ann")).remaining == 988
        assert await asked(redis) == before + 1


async def test_what_was_not_told_is_told_at_the_end(redis_url: str) -> None:
    async with servers(redis_url, 1) as [other]:
        async with servers(redis_url, 1) as [server]:
            for _ in range(10):
                await server.take(WINDOW, "ann")
        assert (await other.take(WINDOW, "ann")).remaining == 989


async def test_while_redis_is_away_what_was_let_in_before_it_heard_counts_here(short_folder: Path) -> None:
    server = EmbeddedRedis(short_folder / "redis")
    await server.start()
    hundred = Policy.of("user", "100/hour")
    async with Redis.from_url(server.url) as client:
        here = Windows(client)
        for _ in range(5):
            await here.take(hundred, "ann")
        await server.stop()
        assert await rush(here, hundred, "ann", 1) == 95
        await here.close()


async def test_what_is_known_is_bounded_and_what_is_not_told_is_not_forgotten(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "MOST_ROOMS", 10)
    monkeypatch.setattr(windows, "MOMENT", 60)
    async with servers(redis_url) as [here, there]:
        await here.take(WINDOW, "ann")
        await here.take(WINDOW, "ann")
        for n in range(100):
            await here.take(WINDOW, f"user {n}")
        assert len(here._rooms) <= 11  # and a busy one
        await here.close()
        assert (await there.take(WINDOW, "ann")).remaining == 997
