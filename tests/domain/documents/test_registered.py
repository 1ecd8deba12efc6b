"""Registered documents: each tenant's own, bounded, forgotten when nobody uses them; Redis may be away."""

import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lakefront.domain.documents import Registered, sha256_of
from lakefront.domain.documents.texts import OVERHEAD

TEXT = "{ größe }"
NAME = sha256_of(TEXT)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator["Redis"]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_every_server_finds_it_for_its_tenant_alone(redis: "Redis") -> None:
    one, other = Registered(redis), Registered(redis)
    assert await one.find("city", NAME) is None
    await one.keep("city", NAME, TEXT)
    for server in (one, other):
        assert await server.find("city", NAME) == TEXT
        assert await server.find("acme", NAME) is None
    ends = [await redis.ttl(key) for key in await redis.keys("*")]
    assert len(ends) == 2
    assert all(0 < end <= 86_400 for end in ends)


async def test_a_tenant_has_so_many_bytes(redis: "Redis") -> None:
    texts = [f"{{ a{number} }}" for number in range(5)]
    writer = Registered(redis, tenant_bytes=3 * (OVERHEAD + 6))
    await writer.keep("acme", NAME, TEXT)
    for number, text in enumerate(texts):
        await writer.keep("city", sha256_of(text), text)
        await redis.zadd(_used("city"), {sha256_of(text).hex(): time.time() - 100 + number})
    reader = Registered(redis)
    assert [await reader.find("city", sha256_of(text)) for text in texts] == [None, None, *texts[2:]]
    assert await reader.find("acme", NAME) == TEXT
    assert await redis.hget("lakefront:documents:{city}:texts", "bytes") == str(3 * (OVERHEAD + 6)).encode()
    await writer.keep("city", sha256_of("x" * 1000), "x" * 1000)
    assert await reader.find("city", sha256_of("x" * 1000)) is None


async def test_what_nobody_uses_is_forgotten(redis: "Redis") -> None:
    writer = Registered(redis, ttl=60)
    await writer.keep("city", NAME, TEXT)
    await redis.zadd(_used("city"), {NAME.hex(): 1})
    assert await Registered(redis, ttl=60).find("city", NAME) is None
    await writer.keep("city", sha256_of("{ a }"), "{ a }")
    assert await redis.hlen("lakefront:documents:{city}:texts") == 2  # the other one, and the sum of bytes


async def test_half_of_it_evicted_is_no_harm(redis: "Redis") -> None:
    writer = Registered(redis, tenant_bytes=2 * OVERHEAD)
    await writer.keep("city", NAME, TEXT)
    await redis.delete(_used("city"))
    assert await Registered(redis).find("city", NAME) is None
    await writer.keep("city", sha256_of("{ a }"), "{ a }")
    await writer.keep("city", sha256_of("{ b }"), "{ b }")
    assert await Registered(redis).find("city", sha256_of("{ b }")) == "{ b }"


async def test_without_redis_a_server_knows_its_own() -> None:
    away = Redis.from_url("redis://127.0.0.1:1", retry=Retry(NoBackoff(), 0))
    for registered in (Registered(), Registered(away)):
        await registered.keep("city", NAME, TEXT)
        assert await registered.find("city", NAME) == TEXT
        assert await registered.find("city", sha256_of("{ other }")) is None
    await away.aclose()


def _used(tenant: str) -> str:
    return f"lakefront:documents:{{{tenant}}}:used"
