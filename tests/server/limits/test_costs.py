"""What operations cost is taken from a bucket (L16): exact, shared through Redis, told to clients of every door."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from limits import parse
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lakefront.server.limits.local import LocalBuckets
from lakefront.server.limits.policies import Policy
from lakefront.server.limits.shared import SharedWindows, Taken
from lakefront.server.limits.windows import Windows
from lakefront.server.socket_messages import SUBPROTOCOL
from lakefront.settings import Settings
from tests.server.wired import Wired, wired

SMALL = Policy("cost", parse("1000/second"), bucket=True)
SLOW = Policy("cost", parse("1000000/minute"), bucket=True)

Take = Callable[[str, Policy, int], Awaitable[Taken]]


@pytest.fixture
async def redis(redis_url: str) -> "AsyncIterator[Redis]":
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(params=["shared", "local"])
def take(request: pytest.FixtureRequest, redis: "Redis") -> Take:
    shared, local = SharedWindows(redis, patience=5), LocalBuckets()

    async def taken(key: str, policy: Policy, amount: int) -> Taken:
        if request.param == "shared":
            return await shared.take(key, policy.item, amount, bucket=True)
        return local.take(key, policy.item, amount)

    return taken


async def test_a_bucket_gives_what_is_in_it(take: Take) -> None:
    first = await take("a", SLOW, 600_000)
    assert (first.wait, first.count) == (None, 600_000)
    assert first.reset == pytest.approx(36, abs=0.01)
    refused = await take("a", SLOW, 600_000)
    assert refused.wait == pytest.approx(12, abs=2)
    assert refused.count == pytest.approx(600_000, abs=40_000)
    rest = await take("a", SLOW, 400_000)
    assert rest.wait is None, "less at once goes on"
    assert (await take("b", SLOW, 1_000_000)).wait is None
    assert (await take("c", SLOW, 1_000_001)).wait is not None


async def test_a_bucket_fills_again_evenly(take: Take) -> None:
    assert (await take("a", SMALL, 1000)).wait is None
    refused = await take("a", SMALL, 300)
    assert refused.wait == pytest.approx(0.3, abs=0.1)
    await asyncio.sleep(0.31)
    assert (await take("a", SMALL, 300)).wait is None
    assert (await take("a", SMALL, 900)).wait is not None
    await asyncio.sleep(1.02)
    assert (await take("a", SMALL, 1000)).wait is None


async def test_servers_share_a_bucket_and_take_exactly(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as one, Redis.from_url(redis_url) as other:
        servers = [Windows(one, patience=5), Windows(other, patience=5)]
        policy = Policy("cost", parse("1000000/day"), bucket=True)
        standings = await asyncio.gather(*(servers[n % 2].take(policy, "city/ann", 30_000) for n in range(60)))
        assert sum(standing.wait is None for standing in standings) == 33
        assert min(standing.remaining for standing in standings) == 10_000


async def test_who_asks_for_less_is_let_in_where_more_was_refused(redis: "Redis") -> None:
    windows = Windows(redis, patience=5)
    assert (await windows.take(SLOW, "ann", 900_000)).remaining == 100_000
    refused = await windows.take(SLOW, "ann", 200_000)
    assert refused.wait is not None
    await redis.flushall()  # were Redis asked, there would be room
    assert (await windows.take(SLOW, "ann", 200_000)).wait is not None, "the same is refused from memory"
    assert (await windows.take(SLOW, "ann", 100_000)).wait is None


async def test_redis_keeps_one_number_and_forgets_it_when_the_bucket_is_full(redis: "Redis") -> None:
    await Windows(redis, patience=5).take(SMALL, "city/ann@example.org", 500)
    [key] = await redis.keys("lakefront:limit:cost:*")
    assert b"ann" not in key
    assert await redis.type(key) == b"string"
    assert 0 < await redis.pttl(key) <= 501


def test_local_buckets_are_bounded() -> None:
    local = LocalBuckets(most=10)
    for n in range(1000):
        local.take(f"user {n}", SMALL.item, 1)
    assert len(local._full_at) == 10


@pytest.fixture
async def served(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wired]:
    folder: Path = tmp_path_factory.getbasetemp() / "costs"
    settings = Settings(
        port=0,
        data=folder,
        database_url=dsn,
        rate_limit_cost="5000/hour",
        graphql_max_cost=4000,
        rate_limit_lake="9/hour",
    )
    async with wired(settings) as made:
        yield made


def rows(first: int) -> dict[str, Any]:
    """A query that costs 1 + 2 for each row."""
    return {"query": "query ($n: Int) { permits(first: $n) { nodes { permitId } } }", "variables": {"n": first}}


async def ask(served: Wired, body: dict[str, Any], role: str = "reader") -> httpx.Response:
    return await served.client.post("/graphql", json=body, headers=served.bearer(role))


async def test_costs_are_counted_and_told(served: Wired) -> None:
    response = await ask(served, rows(600))
    assert response.status_code == 200
    assert response.headers["ratelimit-policy"] == '"user";q=60;w=60, "cost";q=5000;qu="cost";w=3600'
    assert '"cost";r=3799;t=' in response.headers["ratelimit"]
    assert response.headers["x-ratelimit-limit"] == "60", "these tell of requests"
    assert (await ask(served, rows(1000))).status_code == 200
    refused = await ask(served, rows(1000))
    assert refused.status_code == 429
    [error] = refused.json()["errors"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert error["extensions"]["details"][0]["limit"] == 5000
    assert "ask for less at once" in error["message"]
    assert 120 < int(refused.headers["retry-after"]) <= 147
    assert refused.headers["x-ratelimit-limit"] == "5000"
    assert (await ask(served, rows(100))).status_code == 200, "there is enough for less"
    assert (await ask(served, rows(1000), "admin")).status_code == 200, "another user has another bucket"


async def test_what_may_not_run_costs_nothing(served: Wired) -> None:
    dear = {"query": "{ permits(first: 1000) { nodes { permitId status type zipcode } } }"}
    for _ in range(3):
        refused = await ask(served, dear)
        assert refused.status_code == 200, "as for every refused document, for application/json"
        [error] = refused.json()["errors"]
        assert error["extensions"]["code"] == "OPERATION_REFUSED"
        assert error["extensions"]["details"] == [
            {"field": "permits.nodes", "message": "costs most", "cost": 5001, "limit": 4000}
        ]
        assert "cost" not in refused.headers["ratelimit"]
    assert '"cost";r=4997;t=' in (await ask(served, rows(1))).headers["ratelimit"]


async def test_sockets_take_from_the_same_bucket(served: Wired) -> None:
    assert (await ask(served, rows(1000))).status_code == 200
    url = f"ws://127.0.0.1:{served.port}/graphql"
    async with connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)], proxy=None) as opened:
        payload = {"Authorization": f"Bearer {served.token('reader')}"}
        await opened.send(json.dumps({"type": "connection_init", "payload": payload}))
        await opened.recv()
        answers: list[dict[str, Any]] = []
        for first in (1000, 1000, 1):
            message = {"id": str(len(answers)), "type": "subscribe", "payload": rows(first)}
            await opened.send(json.dumps(message))
            answers.append(json.loads(await opened.recv()))
            if answers[-1]["type"] == "next":
                await opened.recv()
    assert [answer["type"] for answer in answers] == ["next", "error", "next"]
    assert answers[1]["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_a_request_that_is_no_operation_counts_as_one_all_the_same(served: Wired) -> None:
    bodies: list[dict[str, Any]] = [{"query": "{"}, {"query": 1}, {"query": "{ nothing }"}, {}]
    for number, body in enumerate(bodies, 1):
        response = await ask(served, body)
        assert response.headers["ratelimit-policy"] == '"user";q=60;w=60'
        assert response.headers["x-ratelimit-remaining"] == str(60 - number)
