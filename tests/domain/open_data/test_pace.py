"""Rows that those without an app token may read, held by all servers together (C5)."""

import asyncio
import time

from redis.asyncio import Redis

from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.providers.socrata import Socrata
from lakefront.domain.open_data.pace import wait_for_rows
from lakefront.domain.quotas import Quotas


async def test_all_servers_share_one_allowance(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        calls = Calls()
        servers = [Quotas(redis), Quotas(redis)]
        without, with_token = [
            Socrata(Endpoint("city", "socrata", "nyc", "https://data.example", "soda2", credentials, None, 1), calls)
            for credentials in ({}, {"app_token": "t0ken"})
        ]
        started = time.monotonic()
        await asyncio.gather(*(wait_for_rows(quotas, without, 1500) for quotas in (*servers, *servers)))
        # 1,000 at once, then 1,000 a second: the fourth goes once three have been paid off.
        assert 3.4 < time.monotonic() - started < 20
        started = time.monotonic()
        for quotas in servers:
            await wait_for_rows(quotas, with_token, 1_000_000)
        assert time.monotonic() - started < 1
        await calls.close()
