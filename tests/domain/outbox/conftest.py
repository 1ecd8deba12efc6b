"""Fixtures of the outbox' tests."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from lakefront.domain.services import Services
from tests.domain.outbox.outside import Outside, make_results


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of an empty Redis, as impatient as a server's."""
    async with Redis.from_url(redis_url, socket_timeout=0.5, socket_connect_timeout=0.5) as client:
        yield client


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
async def desk(dsn: str, services: Services) -> Services:
    """What handlers work with, and a table for their results."""
    await make_results(dsn)
    return services
