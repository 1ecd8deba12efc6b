"""Quotas and rates hold over servers, whatever comes in at once and however Redis comes and goes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lakefront.adapters.calls.quotas import SHARE, Meter, ProviderQuotas, Rate, Spent
from lakefront.adapters.endpoint import Key
from lakefront.db.embedded import EmbeddedRedis

_runs = count()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def meter() -> Meter:
    return Meter(Key(uuid4().hex, "geoclient", "nyc"))


async def _passes(quotas: ProviderQuotas, meter: Meter, daily: int | None, rate: Rate | None = None) -> bool:
    try:
        await quotas.take(meter, daily=daily, rate=rate, patience=0)
    except Spent:
        return False
    return True


async def test_servers_share_a_day_exactly(redis: Redis, meter: Meter) -> None:
    servers = [ProviderQuotas(redis), ProviderQuotas(redis)]
    passed = await asyncio.gather(*(_passes(servers[turn % 2], meter, 17) for turn in range(60)))
    assert passed.count(True) == 17
    told = {left.remaining for server in servers for _, left in server.left()}
    assert 0 in told


async def test_what_others_took_in_advance_is_not_let_in_twice(redis: Redis, meter: Meter) -> None:
    daily = 3000
    servers = [ProviderQuotas(redis) for _ in range(3)]
    passed = 0
    for turn in range(daily + 100):
        passed += await _passes(servers[turn % 3], meter, daily)
    assert 0.9 * daily <= passed <= daily


async def test_who_ends_gives_back_what_was_taken_in_advance(redis: Redis, meter: Meter) -> None:
    one = ProviderQuotas(redis)
    assert await _passes(one, meter, 100)
    await one.close()
    other = ProviderQuotas(redis)
    assert [await _passes(other, meter, 100) for _ in range(101)].count(True) == 99


async def test_many_at_once_take_one_advance(redis: Redis, meter: Meter) -> None:
    quotas = ProviderQuotas(redis)
    assert all(await asyncio.gather(*(_passes(quotas, meter, 1000) for _ in range(40))))
    assert [left.remaining for _, left in quotas.left()] == [960]
    assert await redis.get(f"{meter.name}:{datetime.now(UTC).date()}") == b"50"


async def test_a_day_that_is_used_up_says_when_the_next_begins(redis: Redis, meter: Meter) -> None:
    now = datetime(2026, 3, 1, 23, 59, 30, tzinfo=UTC)
    quotas = ProviderQuotas(redis, now=lambda: now)
    assert await _passes(quotas, meter, 1)
    for _ in range(2):
        with pytest.raises(Spent) as spent:
            await quotas.take(meter, daily=1, rate=None, patience=9)
        assert spent.value.day
        assert spent.value.wait == 30
    now += timedelta(seconds=30)
    assert await _passes(quotas, meter, 1)


async def test_a_raised_quota_holds_at_once(redis: Redis, meter: Meter) -> None:
    quotas = ProviderQuotas(redis)
    assert [await _passes(quotas, meter, 2) for _ in range(3)] == [True, True, False]
    assert [await _passes(quotas, meter, 3) for _ in range(2)] == [True, False]


async def test_lanes_have_quotas_of_their_own(redis: Redis, meter: Meter) -> None:
    quotas = ProviderQuotas(redis)
    second = meter._replace(lane="second")
    assert [await _passes(quotas, each, 1) for each in (meter, second, meter, second)] == [True, True, False, False]


async def test_redis_forgets_a_day_in_time(redis: Redis, meter: Meter) -> None:
    await ProviderQuotas(redis).take(meter, daily=9, rate=Rate.of("5/second"), patience=1)
    keys = await redis.keys(f"*{meter.key.tenant}*")
    assert len(keys) == 2
    assert all([0 < await redis.ttl(key) <= 172_800 for key in keys])


async def test_redis_may_lose_its_memory(redis: Redis, meter: Meter) -> None:
    quotas = ProviderQuotas(redis)
    assert all([await _passes(quotas, meter, 10) for _ in range(7)])
    await redis.flushall()
    assert [await _passes(quotas, meter, 10) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("shared", [True, False])
async def test_a_rate_holds_in_every_window(redis: Redis, meter: Meter, shared: bool) -> None:
    servers = [ProviderQuotas(redis), ProviderQuotas(redis)] if shared else [ProviderQuotas(None)]
    rate = Rate(5, 0.25)
    went: list[float] = []

    async def go(turn: int) -> None:
        await servers[turn % len(servers)].take(meter, daily=None, rate=rate, patience=10)
        went.append(time.monotonic())

    await asyncio.gather(*(go(turn) for turn in range(23)))
    went.sort()
    assert all(later - earlier > 0.2 for earlier, later in zip(went, went[5:], strict=False))
    assert went[-1] - went[0] < 3


async def test_who_has_no_patience_takes_no_slot(redis: Redis, meter: Meter) -> None:
    quotas = ProviderQuotas(redis)
    rate = Rate(1, 0.3)
    await quotas.take(meter, daily=10, rate=rate, patience=0)
    for _ in range(5):
        with pytest.raises(Spent) as spent:
            await quotas.take(meter, daily=10, rate=rate, patience=0.01)
        assert not spent.value.day
        assert 0 < spent.value.wait < 0.4
    started = time.monotonic()
    await quotas.take(meter, daily=10, rate=rate, patience=1)
    assert time.monotonic() - started < 0.5
    assert [left.remaining for _, left in quotas.left()] == [8]


def test_rates_are_read_once() -> None:
    assert Rate.of("10/second") == Rate(10, 1.0)
    assert Rate.of("60/minute") == Rate(60, 60.0)
    assert Rate.of("10/second") is Rate.of("10/second")


async def test_without_redis_a_process_may_use_all_of_it(meter: Meter) -> None:
    quotas = ProviderQuotas(None)
    assert [await _passes(quotas, meter, 3) for _ in range(5)] == [True, True, True, False, False]


async def test_while_redis_is_away_four_servers_stay_within(meter: Meter) -> None:
    async with Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)) as nowhere:
        servers = [ProviderQuotas(nowhere) for _ in range(SHARE)]
        passed = [await _passes(servers[turn % SHARE], meter, 40) for turn in range(100)]
        assert passed.count(True) == 40


async def test_who_once_reached_redis_goes_on_with_what_it_has(redis_server: EmbeddedRedis, meter: Meter) -> None:
    async with _server(redis_server) as (quotas, reach):
        assert await _passes(quotas, meter, 100)
        await reach("-@all")
        assert [await _passes(quotas, meter, 100) for _ in range(10)].count(True) == 4
        with pytest.raises(Spent) as spent:
            await quotas.take(meter, daily=100, rate=None, patience=0)
        assert spent.value.wait < 2
        await reach("+@all")
        assert await _passes(quotas, meter, 100)


STEPS = st.lists(st.tuples(st.sampled_from(["take"] * 8 + ["away", "back"]), st.integers(0, 1)), max_size=80)


@settings(max_examples=40)
@given(daily=st.integers(0, 60), steps=STEPS)
async def test_a_quota_is_never_exceeded(redis_server: EmbeddedRedis, daily: int, steps: list[tuple[str, int]]) -> None:
    """Two servers that have reached Redis that day; from then on each may lose it at any time."""
    meter = Meter(Key(uuid4().hex, "geoclient", ""))
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(_server(redis_server)) for _ in range(2)]
        passed = 0
        for quotas, _ in servers:
            passed += await _passes(quotas, meter, daily)
        for step, who in steps:
            quotas, reach = servers[who]
            if step == "take":
                passed += await _passes(quotas, meter, daily)
            else:
                await reach("-@all" if step == "away" else "+@all")
        assert passed <= daily
        for quotas, reach in servers:
            await reach("+@all")
            await quotas.close()
        after, _ = await stack.enter_async_context(_server(redis_server))
        assert [await _passes(after, meter, daily) for _ in range(daily + 1)].count(True) == daily - passed


@asynccontextmanager
async def _server(redis: EmbeddedRedis) -> AsyncIterator[tuple[ProviderQuotas, Callable[[str], Awaitable[object]]]]:
    """A server's quotas, and what may be told to Redis of whether this server reaches it."""
    user = f"q{next(_runs)}"
    async with (
        Redis.from_url(redis.url) as admin,
        Redis.from_url(redis.url, username=user, password="any") as client,
    ):
        await admin.acl_setuser(user, enabled=True, nopass=True, keys=["*"], categories=["+@all"])

        def reach(rights: str) -> Awaitable[object]:
            return admin.acl_setuser(user, enabled=True, categories=[rights])

        try:
            yield ProviderQuotas(client, pause=0), reach
        finally:
            await admin.acl_deluser(user)
