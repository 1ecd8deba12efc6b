"""Daily counters: exact over servers, whatever comes in at once; without Redis, or its memory, they go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lakefront.db.embedded import EmbeddedRedis
from lakefront.domain.tenants import daily
from lakefront.domain.tenants.daily import DailyCounter, Taken
from lakefront.redis_scripts import AHEAD

_runs = count()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_servers_share_a_day_exactly(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as one, Redis.from_url(redis_url) as other:
        counters = [DailyCounter(one), DailyCounter(other)]
        answers = await asyncio.gather(*(counters[turn % 2].take("t", 17) for turn in range(50)))
        assert sorted(answer.used for answer in answers if answer.passed) == list(range(1, 18))
        assert [await counter.used("t") for counter in counters] == [17, 17]
        assert await counters[0].used("u") == 0


async def test_what_is_refused_is_not_counted(redis: Redis) -> None:
    counter = DailyCounter(redis)
    assert await counter.take("t", 5, amount=6) == Taken(passed=False, used=0)
    assert await counter.take("t", 5, amount=5) == Taken(passed=True, used=5)
    assert await counter.take("t", 5) == Taken(passed=False, used=5)
    assert await counter.take("t", 6) == Taken(passed=True, used=6)


async def test_a_day_is_forgotten_by_redis_in_time(redis: Redis) -> None:
    await DailyCounter(redis).take("t", 5)
    assert 86_400 < await redis.ttl("lakefront:daily:t") <= 2 * 86_400


async def test_without_redis_a_process_counts_by_itself() -> None:
    async with Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)) as nowhere:
        for counter in (DailyCounter(nowhere), DailyCounter(None)):
            assert [(await counter.take("t", 3)).passed for _ in range(5)] == [True, True, True, False, False]
            assert await counter.used("t") == 3


async def test_redis_may_lose_its_memory(redis: Redis) -> None:
    counter = DailyCounter(redis)
    await asyncio.gather(*(counter.take("t", 100) for _ in range(7)))
    await redis.flushall()
    assert await counter.take("t", 8) == Taken(passed=True, used=8)
    assert await DailyCounter(redis).used("t") == 8


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 1), st.integers(1, 4)),
        st.tuples(st.just("away"), st.just(0), st.just(0)),
        st.tuples(st.just("back"), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(limit=st.integers(0, 25), steps=STEPS)
async def test_nothing_that_passed_is_lost(
    redis_server: EmbeddedRedis, limit: int, steps: list[tuple[str, int, int]]
) -> None:
    """Two servers, and a Redis that refuses now and then: when it is back it knows of all that passed.

    While it answers, no server goes over the limit; while it does not, each by itself does not.
    """
    user, name = f"u{next(_runs)}", uuid4().hex
    async with Redis.from_url(redis_server.url) as admin:
        await admin.acl_setuser(user, enabled=True, nopass=True, keys=["*"], categories=["+@all"])
        clients = [Redis.from_url(redis_server.url, username=user, password="any") for _ in range(2)]
        counters = [DailyCounter(client, pause=0) for client in clients]
        passed, here, away = 0, [0, 0], False
        try:
            for step, server, amount in steps:
                if step != "take":
                    away = step == "away"
                    await admin.acl_setuser(user, enabled=True, categories=["-@all" if away else "+@all"])
                    continue
                taken = await counters[server].take(name, limit, amount=amount)
                if taken.passed:
                    passed += amount
                    here[server] += amount
                    assert taken.used <= limit
                elif not away:
                    assert taken.used + amount > limit
                assert here[server] <= limit
            await admin.acl_setuser(user, enabled=True, categories=["+@all"])
            for counter in counters:
                await counter.used(name)
            assert await counters[0].used(name) == passed
        finally:
            for client in clients:
                await client.aclose()
            await admin.acl_deluser(user)


async def test_what_is_owed_is_kept_when_whoever_tells_it_is_cancelled(redis_server: EmbeddedRedis) -> None:
    user, name = f"u{next(_runs)}", uuid4().hex
    async with (
        Redis.from_url(redis_server.url) as admin,
        Redis.from_url(redis_server.url, username=user, password="any") as client,
    ):
        counter = DailyCounter(client, pause=0)
        await admin.acl_setuser(user, enabled=True, nopass=True, keys=["*"], categories=["-@all"])
        try:
            assert [(await counter.take(name, 5)).passed for _ in range(3)] == [True] * 3
            await admin.acl_setuser(user, enabled=True, categories=["+@all"])
            await admin.client_pause(300)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await counter.take(name, 5)
            await asyncio.sleep(0.3)
            assert await counter.used(name) >= 3
        finally:
            await admin.acl_deluser(user)


@asynccontextmanager
async def servers(url: str, number: int = 2) -> AsyncIterator[list[DailyCounter]]:
    """Servers that share one Redis, each with connections of its own."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(number):
            made.append(DailyCounter(await stack.enter_async_context(Redis.from_url(url))))
            stack.push_async_callback(made[-1].close)
        yield made


async def rush(counter: DailyCounter, limit: int) -> int:
    """What passes until nothing is left."""
    passed = 0
    while (await counter.take("t", limit)).passed:
        passed += 1
        await asyncio.sleep(0)
    return passed


async def test_where_plenty_is_left_redis_hears_of_it_in_a_moment(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "MOMENT", 0.5)
    async with servers(redis_url) as [here, there]:
        await here.take("t", 1000)
        assert [(await here.take("t", 1000)).used for _ in range(50)] == list(range(2, 52))
        assert await redis.get("lakefront:daily:t") == b"1"
        await asyncio.sleep(1)
        assert await there.used("t") == 51


async def test_one_server_lets_no_more_pass_than_the_limit(redis_url: str) -> None:
    async with servers(redis_url, 1) as [counter]:
        assert sum(await asyncio.gather(*(rush(counter, 500) for _ in range(8)))) == 500


async def test_servers_pass_the_limit_by_a_twentieth_each_at_most(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst that can be: the day is used up elsewhere, just after each was told that there is plenty."""
    monkeypatch.setattr(daily, "MOMENT", 60)
    async with servers(redis_url, 3) as [one, two, greedy]:
        for counter in (one, two):
            await counter.take("t", 500)
        assert (await greedy.take("t", 500, amount=498)).passed
        assert [await rush(one, 500), await rush(two, 500)] == [500 // AHEAD, 500 // AHEAD]
        assert await greedy.used("t") == 550
        assert not (await two.take("t", 550)).passed


async def test_what_was_not_told_is_told_at_the_end(redis_url: str) -> None:
    async with servers(redis_url, 1) as [other]:
        async with servers(redis_url, 1) as [counter]:
            for _ in range(10):
                await counter.take("t", 1000)
        assert await other.used("t") == 10
