"""Several servers, one provider: what it allows holds for all of them, also while Redis comes and goes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lakefront.adapters.calls import Calls
from lakefront.adapters.calls.quotas import Meter, ProviderQuotas, Rate, Spent
from lakefront.adapters.endpoint import Key
from lakefront.db.database import Database
from lakefront.db.embedded import EmbeddedRedis
from lakefront.domain.quota_ledger import QuotaLedger
from lakefront.errors import RateLimited
from tests.adapters.outside import Answer, Got, Outside, told
from tests.adapters.probe import QUICK, Probe, limited, probe

METER = Meter(Key("city", "probe", ""))


@pytest.fixture
async def redis(short_folder: Path) -> AsyncIterator[EmbeddedRedis]:
    """A Redis that may be killed."""
    server = EmbeddedRedis(short_folder / "r")
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def _servers(url: str, number: int, ledger: QuotaLedger | None = None) -> AsyncIterator[list[Calls]]:
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(number):
            client = await stack.enter_async_context(Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=1))
            made.append(Calls(client, policy=QUICK, loopback=True, ledger=ledger))
            stack.push_async_callback(made[-1].close)
        yield made


async def test_a_provider_sees_no_more_than_its_rate(redis: EmbeddedRedis) -> None:
    arrivals: list[float] = []

    def answer(_: Got) -> Answer:
        arrivals.append(time.monotonic())
        return told({"value": 7})

    made = limited(rate="20/second")
    async with Outside(answer) as outside, _servers(redis.url, 3) as servers:
        adapters = [made(outside.url, calls) for calls in servers]
        # Connections first: what is sent on new ones arrives late, and the next seems early.
        await asyncio.gather(*(adapters[turn % 3].ask(patience=10.0) for turn in range(20)))
        await asyncio.sleep(1.1)
        arrivals.clear()
        asks = [adapters[turn % 3].ask(patience=10.0) for turn in range(50)]
        assert await asyncio.gather(*asks) == [7] * 50
    arrivals.sort()
    # A second and a half of the rate, less what a busy machine holds up: three servers with a rate each need a half.
    assert all(later - earlier > 0.9 for earlier, later in zip(arrivals, arrivals[30:], strict=False))
    assert arrivals[-1] - arrivals[0] < 4


async def test_a_rate_holds_in_every_window_without_redis(redis: EmbeddedRedis) -> None:
    rate = Rate(8, 1.5)
    went: list[float] = []
    async with AsyncExitStack() as stack:
        urls = [Redis.from_url(redis.url, retry=Retry(NoBackoff(), 0), socket_timeout=1) for _ in range(4)]
        servers = [ProviderQuotas(await stack.enter_async_context(each)) for each in urls]

        async def go(turn: int) -> None:
            await servers[turn % 4].take(METER, daily=None, rate=rate, patience=20)
            went.append(time.monotonic())

        await redis.stop()
        await asyncio.gather(*(go(turn) for turn in range(4 * 4)))
    went.sort()
    assert all(later - earlier > 0.8 for earlier, later in zip(went, went[8:], strict=False))


async def test_what_a_server_sent_before_redis_was_lost_counts(redis: EmbeddedRedis) -> None:
    rate = Rate(4, 30.0)
    async with Redis.from_url(redis.url, retry=Retry(NoBackoff(), 0), socket_timeout=1) as client:
        quotas = ProviderQuotas(client)
        for _ in range(4):
            await quotas.take(METER, daily=None, rate=rate, patience=0)
        await redis.stop()
        with pytest.raises(Spent):
            await quotas.take(METER, daily=None, rate=rate, patience=0)


async def test_a_quota_holds_while_redis_dies_and_returns(redis: EmbeddedRedis, database: Database) -> None:
    """It comes back without its memory: the day stands in the ledger."""
    quota = 200
    ledger = QuotaLedger(database)
    async with Outside(lambda _: told({"value": 7})) as outside, _servers(redis.url, 2, ledger) as servers:
        adapters = [probe(outside.url, calls, quota_daily=quota) for calls in servers]
        refused = 0
        for turn in range(4):
            refused += sum(await asyncio.gather(*(_refused(adapters[each % 2]) for each in range(70))))
            if turn == 1:
                await redis.stop()
                await asyncio.gather(*(_refused(adapters[each % 2]) for each in range(70)))
                await redis.start()
                await asyncio.sleep(1.1)  # until it is asked again
        assert refused
        assert quota * 0.8 <= len(outside.got) <= quota


async def _refused(adapter: Probe) -> bool:
    try:
        await adapter.ask()
    except RateLimited:
        return True
    return False
