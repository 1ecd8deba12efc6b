"""Rates hold over servers, whatever comes in at once and however Redis comes and goes; days of a process alone."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from lakefront.adapters.calls.quotas import Meter, ProviderQuotas, Rate, Spent
from lakefront.adapters.endpoint import Key

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


async def test_redis_forgets_a_rate_in_time(redis: Redis, meter: Meter) -> None:
    await ProviderQuotas(redis).take(meter, daily=9, rate=Rate.of("5/second"), patience=1)
    keys = await redis.keys(f"*{meter.key.tenant}*")
    assert len(keys) == 1
    assert all([0 < await redis.ttl(key) <= 60 for key in keys])


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


async def test_who_leaves_before_its_turn_takes_nothing_of_the_day(meter: Meter) -> None:
    quotas = ProviderQuotas(None)
    rate = Rate(1, 60.0)
    await quotas.take(meter, daily=10, rate=rate, patience=0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await quotas.take(meter, daily=10, rate=rate, patience=90)
    assert [left.remaining for _, left in quotas.left()] == [9]


def test_rates_are_read_once() -> None:
    assert Rate.of("10/second") == Rate(10, 1.0)
    assert Rate.of("60/minute") == Rate(60, 60.0)
    assert Rate.of("10/second") is Rate.of("10/second")


async def test_without_a_ledger_a_process_may_use_all_of_it(meter: Meter) -> None:
    quotas = ProviderQuotas(None)
    assert [await _passes(quotas, meter, 3) for _ in range(5)] == [True, True, True, False, False]
