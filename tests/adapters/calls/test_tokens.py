"""Tokens: one for all servers, renewed early by one of them, and the old one good while it holds."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from lakefront.adapters.calls.tokens import EARLY, Token, Tokens
from lakefront.adapters.endpoint import Endpoint
from lakefront.domain.integrations import CredentialKeys, TokenCipher
from lakefront.errors import UpstreamError

ENDPOINT = Endpoint("city", "benefits", "nyc", "https://a.example", "1", {}, None, 1)
HOUR = 3600.0


class Source:
    """Gives tokens ``1``, ``2``, …, or fails while it is ``down``."""

    def __init__(self, seconds: float = HOUR) -> None:
        self.seconds = seconds
        self.given = 0
        self.down = False
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> Token:
        self.asked.set()
        await self.open.wait()
        if self.down:
            raise UpstreamError("It is down.")
        self.given += 1
        return Token(str(self.given), self.seconds)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


def server(redis: "Redis | None", keys: CredentialKeys | None = None, clock: Clock | None = None) -> Tokens:
    cipher = TokenCipher(keys) if keys is not None else None
    return Tokens(redis, cipher, clock=clock) if clock else Tokens(redis, cipher)


async def test_it_is_renewed_five_minutes_before_its_end_and_serves_till_then() -> None:
    clock, source = Clock(), Source()
    tokens = server(None, clock=clock)
    assert await tokens.get(ENDPOINT, source) == "1"
    clock.now += HOUR - EARLY - 1
    assert await tokens.get(ENDPOINT, source) == "1"
    clock.now += 2
    source.open.clear()
    renewing = asyncio.create_task(tokens.get(ENDPOINT, source))
    await asyncio.sleep(0)
    assert await tokens.get(ENDPOINT, source) == "1"
    source.open.set()
    assert await renewing == "2"
    assert await tokens.get(ENDPOINT, source) == "2"


async def test_the_old_one_is_good_while_no_other_can_be_had() -> None:
    clock, source = Clock(), Source()
    tokens = server(None, clock=clock)
    await tokens.get(ENDPOINT, source)
    source.down = True
    clock.now += HOUR - 10
    assert await tokens.get(ENDPOINT, source) == "1"
    clock.now += 10
    with pytest.raises(UpstreamError):
        await tokens.get(ENDPOINT, source)
    source.down = False
    assert await tokens.get(ENDPOINT, source) == "2"


async def test_many_at_once_fetch_one_on_all_servers(redis: Redis) -> None:
    keys, source = CredentialKeys.ephemeral(), Source()
    servers = [server(redis, keys) for _ in range(3)]
    found = await asyncio.gather(*(each.get(ENDPOINT, source) for each in servers for _ in range(10)))
    assert {*found} == {"1"}
    assert source.given == 1


async def test_one_server_renews_and_the_others_take_it(redis: Redis) -> None:
    keys, source = CredentialKeys.ephemeral(), Source()
    clocks = [Clock(), Clock()]
    one, other = (server(redis, keys, clock) for clock in clocks)
    assert [await each.get(ENDPOINT, source) for each in (one, other)] == ["1", "1"]
    [key] = [key async for key in redis.scan_iter("lakefront:tokens:*")]
    await redis.pexpire(key, int((EARLY - 1) * 1000))
    for clock in clocks:
        clock.now += HOUR - EARLY + 1
    source.open.clear()
    source.asked.clear()
    renewing = asyncio.create_task(one.get(ENDPOINT, source))
    await source.asked.wait()
    assert await other.get(ENDPOINT, source) == "1"
    source.open.set()
    assert await renewing == "2"
    assert await other.get(ENDPOINT, source) == "2"
    assert not await redis.exists(key + b":fetching")


async def test_whoever_fails_leaves_it_to_the_next_at_once(redis: Redis) -> None:
    keys, source = CredentialKeys.ephemeral(), Source()
    source.down = True
    with pytest.raises(UpstreamError):
        await server(redis, keys).get(ENDPOINT, source)
    source.down = False
    async with asyncio.timeout(5):
        assert await server(redis, keys).get(ENDPOINT, source) == "1"


async def test_a_dropped_token_is_gone_for_all_and_a_newer_one_is_not(redis: Redis) -> None:
    keys, source = CredentialKeys.ephemeral(), Source()
    one, other = server(redis, keys), server(redis, keys)
    assert [await each.get(ENDPOINT, source) for each in (one, other)] == ["1", "1"]
    await one.drop(ENDPOINT, "1")
    assert await one.get(ENDPOINT, source) == "2"
    await other.drop(ENDPOINT, "1")
    assert await other.get(ENDPOINT, source) == "2"
    assert source.given == 2


async def test_what_another_key_or_place_sealed_is_replaced(redis: Redis) -> None:
    source = Source()
    keys = CredentialKeys.ephemeral()
    await server(redis, keys).get(ENDPOINT, source)
    assert await server(redis, CredentialKeys.ephemeral()).get(ENDPOINT, source) == "2"
    cipher, moved = TokenCipher(keys), Endpoint("city", "benefits", "nyc", "https://b.example", "1", {}, None, 1)
    sealed = cipher.seal(ENDPOINT, "hush")
    assert cipher.unseal(ENDPOINT, sealed) == "hush"
    for text in (sealed[:-4], "", "no.thing", "é.é"):
        assert cipher.unseal(ENDPOINT, text) is None
    assert cipher.unseal(moved, sealed) is None


async def test_without_redis_each_server_has_its_own() -> None:
    source, gone = Source(), Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2)
    servers = [server(gone, CredentialKeys.ephemeral()), server(None)]
    assert [await each.get(ENDPOINT, source) for each in servers for _ in range(2)] == ["1", "1", "2", "2"]
    await gone.aclose()
