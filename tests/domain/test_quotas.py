"""The ingest quota: debt, refusal, repayment; shared through Redis, local without it (P6)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lakefront.domain.quotas import Quotas
from lakefront.errors import RateLimited


@pytest.fixture(params=["redis", "local"])
async def quotas(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Quotas]:
    if request.param == "local":
        yield Quotas(None)
        return
    async with Redis.from_url(redis_url) as client:
        yield Quotas(client)


async def test_a_large_request_passes_and_the_next_waits_for_its_debt(quotas: Quotas) -> None:
    await quotas.take("s", 100, rate=100)
    await quotas.take("t", 350, rate=100)
    with pytest.raises(RateLimited) as caught:
        await quotas.take("t", 1, rate=100)
    assert caught.value.retry_after in (2, 3)
    assert caught.value.details == [{"field": "rate", "message": caught.value.message, "limit": 100, "remaining": 0}]


async def test_the_rate_holds_over_time(quotas: Quotas) -> None:
    passed = 0
    loop = asyncio.get_running_loop()
    start = loop.time()
    while (elapsed := loop.time() - start) < 1.2:
        try:
            await quotas.take("s", 10, rate=200)
        except RateLimited:
            await asyncio.sleep(0.01)
        else:
            passed += 10
    assert passed <= 200 + 200 * elapsed + 20
    assert passed >= 200 + 200 * elapsed * 0.6


async def test_replicas_share_a_bucket(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as one, Redis.from_url(redis_url) as other:
        await Quotas(one).take("s", 500, rate=100)
        with pytest.raises(RateLimited):
            await Quotas(other).take("s", 1, rate=100)


async def test_without_redis_a_process_counts_by_itself() -> None:
    async with Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)) as nowhere:
        away = Quotas(nowhere)
        await away.take("s", 500, rate=100)
        with pytest.raises(RateLimited):
            await away.take("s", 1, rate=100)


async def test_switched_off_nothing_is_refused() -> None:
    off = Quotas(None, enabled=False)
    for _ in range(5):
        await off.take("s", 1_000_000, rate=1)
