"""Rate limits through the whole application (C11): what counts, for whom, and how it is told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from lakefront.actor import system_actor
from lakefront.domain import api_keys
from lakefront.domain.tenants.lifecycle import suspend
from lakefront.server.app import PUBLIC
from lakefront.server.keys import mint
from lakefront.server.limits.headers import NAMES
from lakefront.server.limits.shared import PATIENCE
from lakefront.server.pages.bundle import ASSETS_PATH
from lakefront.server.socket_messages import SUBPROTOCOL
from lakefront.settings import Settings
from tests.domain.permits.events import event
from tests.domain.tenants.companies import company, settled
from tests.server.wired import Wired, wired

QUERY = {"query": "{ __typename }"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all: a signing key takes a moment to make."""
    return tmp_path_factory.mktemp("limits")


@pytest.fixture
async def served(dsn: str, folder: Path) -> AsyncIterator[Wired]:
    """Without Redis: on a busy machine it may be late now and then, and a count be the process's own."""
    settings = Settings(
        port=0,
        data=folder,
        database_url=dsn,
        rate_limit_user="5/minute",
        rate_limit_anonymous="3/minute",
        rate_limit_lake="7/hour",
        trusted_proxies=("127.0.0.2",),
    )
    async with wired(settings) as made:
        yield made


async def ask(served: Wired, role: str = "reader", **body: Any) -> httpx.Response:
    return await served.client.post("/graphql", json={**QUERY, **body}, headers=served.bearer(role))


async def test_a_user_is_counted_and_told(served: Wired) -> None:
    for left in (4, 3, 2, 1, 0):
        response = await ask(served)
        assert response.status_code == 200
        headers = response.headers
        assert headers["x-ratelimit-limit"] == "5"
        assert headers["x-ratelimit-remaining"] == str(left)
        assert 0 < int(headers["x-ratelimit-reset"]) - time.time() <= 61
        assert headers["ratelimit-policy"] == '"user";q=5;w=60'
        name, remaining, seconds = headers["ratelimit"].split(";")
        assert (name, remaining) == ('"user"', f"r={left}")
        assert 0 < int(seconds.removeprefix("t=")) <= 60
        assert "retry-after" not in headers
    refused = await ask(served)
    assert refused.status_code == 429
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert refused.headers["ratelimit"].startswith('"user";r=0;t=')
    wait = int(refused.headers["retry-after"])
    assert 50 < wait <= 60
    [error] = refused.json()["errors"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert error["extensions"]["retryAfter"] == wait
    assert (await ask(served, "admin")).status_code == 200, "another user has a window of its own"


async def test_rest_and_graphql_count_together_and_rest_has_its_shape(served: Wired) -> None:
    path = "/api/v1/tenants/city"
    for left in (4, 2, 0):
        await ask(served, "admin")
        response = await served.client.get(path, headers=served.bearer("admin"))
        assert response.headers["x-ratelimit-remaining"] == str(max(0, left - 1)), response.text
    assert response.status_code == 429
    assert response.json().keys() == {"error_code", "message", "details", "timestamp"}
    assert response.json()["details"][0]["field"] == "rate"
    assert response.json()["error_code"] == "rate_limited"
    assert int(response.headers["retry-after"]) > 50


async def test_the_lake_counts_by_the_hour_and_apart(served: Wired) -> None:
    for left in range(6, -1, -1):
        response = await served.client.get("/lake/nothing", headers=served.bearer("reader"))
        assert response.status_code == 404
        assert response.headers["ratelimit-policy"] == '"lake";q=7;w=3600'
        assert response.headers["x-ratelimit-remaining"] == str(left)
    assert (await served.client.get("/lake/nothing", headers=served.bearer("reader"))).status_code == 429
    assert (await ask(served)).headers["x-ratelimit-remaining"] == "4"


async def test_ingest_and_scrapes_do_not_count(served: Wired) -> None:
    for _ in range(8):
        assert (await served.ingest([event()])).status_code == 200
        response = await served.client.get("/metrics", headers=served.bearer("monitor"))
        assert response.status_code == 200
        assert not set(response.headers) & {name.lower() for name in NAMES}


async def test_public_paths_do_not_count(served: Wired) -> None:
    for path in PUBLIC - {ASSETS_PATH}:
        for _ in range(4):
            response = await served.client.get(path)
            assert response.status_code != 429
            assert "ratelimit" not in response.headers
    assert (await served.client.get("/nothing")).status_code == 404


async def test_who_does_not_sign_in_counts_by_address(served: Wired) -> None:
    for left in (2, 1, 0):
        response = await served.client.post("/graphql", json=QUERY)
        assert response.status_code == 401
        assert response.headers["ratelimit-policy"] == '"address";q=3;w=60'
        assert response.headers["x-ratelimit-remaining"] == str(left)
    for path in ("/lake/x", "/metrics"):
        response = await served.client.get(path)
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) > 50
    assert (await served.ingest([event()], authorization="")).status_code == 429
    assert (await served.client.get("/health")).status_code == 200


async def test_guessing_is_slow_and_cheap_and_harms_nobody_who_is_known(served: Wired) -> None:
    services = served.parts.doors.services
    known, right = [
        {"X-API-Key": (await api_keys.create(services, system_actor(), "test", ["reader"], None)).text}
        for _ in range(2)
    ]
    assert (await served.client.post("/graphql", json=QUERY, headers=known)).status_code == 200
    for n in range(3):
        response = await served.client.post("/graphql", json=QUERY, headers={"X-API-Key": f"city_api_{n:032x}"})
        assert response.status_code == 401
    # From here on not even a right guess is looked at, over whichever door.
    assert (await served.client.post("/graphql", json=QUERY, headers=right)).status_code == 429
    assert (await served.client.get("/lake/x", headers=right)).status_code == 429
    for user in ("ann", "ben"):
        response = await served.client.post("/graphql", json=QUERY, headers={**known, "X-User-ID": user})
        assert response.status_code == 200, "who signed in before goes on"
    assert (await ask(served)).status_code == 200, "a signed token is no guess"


async def test_a_suspended_tenants_requests_count_by_address(served: Wired) -> None:
    services = served.parts.doors.services
    await settled(services, system_actor(), company("acme_corp"))
    await suspend(services, system_actor(), "acme_corp", "unpaid")
    token = mint(served.parts.key, served.parts.settings, "ann", "reader", "acme_corp", 600)
    headers = {"Authorization": f"Bearer {token}"}
    statuses = [(await served.client.post("/graphql", json=QUERY, headers=headers)).status_code for _ in range(5)]
    assert statuses == [403] * 3 + [429] * 2


async def test_a_forwarded_address_that_nobody_trusted_wrote_does_not_help(served: Wired) -> None:
    for n in range(4):
        lies = {"X-Forwarded-For": f"198.51.100.{n}", "Forwarded": f"for=198.51.100.{n}"}
        response = await served.client.post("/graphql", json=QUERY, headers=lies)
    assert response.status_code == 429


async def test_behind_a_trusted_proxy_each_client_has_a_window(served: Wired) -> None:
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", transport=transport) as proxy:
        for _ in range(4):
            response = await proxy.post("/graphql", json=QUERY, headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.7"})
        assert response.status_code == 429
        response = await proxy.post("/graphql", json=QUERY, headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.8"})
        assert response.status_code == 401


@asynccontextmanager
async def socket(
    served: Wired, role: str | None = "reader", *, acknowledged: bool = True
) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{served.port}/graphql"
    async with connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)], proxy=None) as opened:
        payload = {} if role is None else {"Authorization": f"Bearer {served.token(role)}"}
        await opened.send(json.dumps({"type": "connection_init", "payload": payload}))
        if role is not None and acknowledged:
            assert json.loads(await opened.recv()) == {"type": "connection_ack"}
        yield opened


async def run(opened: ClientConnection, name: str, query: str = "{ __typename }") -> Any:
    await opened.send(json.dumps({"id": name, "type": "subscribe", "payload": {"query": query}}))
    return json.loads(await asyncio.wait_for(opened.recv(), 5))


async def test_each_operation_on_a_socket_counts_and_its_sign_in(served: Wired) -> None:
    async with socket(served) as opened:
        for n in range(4):
            assert (await run(opened, f"{n}"))["type"] == "next"
            assert json.loads(await opened.recv())["type"] == "complete"
        refused = await run(opened, "one too many")
        assert refused["type"] == "error"
        assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert 50 < refused["payload"][0]["extensions"]["retryAfter"] <= 60
    assert (await ask(served)).status_code == 429, "sockets and requests count together"


async def test_events_do_not_count(served: Wired) -> None:
    async with socket(served) as opened:
        query = 'subscription { permitEvents(after: "earliest") { cursor } }'
        await opened.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        await served.ingest([event(eventId=f"event {n}") for n in range(20)])
        for _ in range(20):
            assert json.loads(await asyncio.wait_for(opened.recv(), 10))["type"] == "next"
    assert (await ask(served)).headers["x-ratelimit-remaining"] == "2"


async def test_sockets_are_opened_as_seldom_as_requests_are_made(served: Wired) -> None:
    for _ in range(5):
        async with socket(served):
            pass
    async with socket(served, "reader", acknowledged=False) as refused:
        with pytest.raises(ConnectionClosed):
            await refused.recv()
        assert refused.close_code == 1013
    assert (await ask(served)).status_code == 429
    async with socket(served, "admin"):
        pass


async def test_a_socket_that_fails_to_sign_in_counts(served: Wired) -> None:
    codes = []
    for _ in range(4):
        async with socket(served, None) as opened:
            with pytest.raises(ConnectionClosed):
                await opened.recv()
            codes.append(opened.close_code)
    assert codes == [4403, 4403, 4403, 1013]
    assert (await served.client.post("/graphql", json=QUERY)).status_code == 429


async def test_a_field_has_a_limit_of_its_own_by_either_door(dsn: str, folder: Path) -> None:
    settings = Settings(port=0, data=folder, database_url=dsn)
    async with wired(settings) as served:
        create = 'createApiKey(name: "x", roles: ["reader"], dryRun: true) { report { changes } }'
        aliases = " ".join(f"k{n}: {create}" for n in range(8))
        response = await ask(served, "admin", query=f"mutation {{ {aliases} }}")
        cost = '"cost";q=1000000;qu="cost";w=60'
        assert response.headers["ratelimit-policy"] == f'"user";q=60;w=60, {cost}, "createApiKey";q=10;w=60'
        assert '"createApiKey";r=2;t=60' in response.headers["ratelimit"]
        assert response.headers["x-ratelimit-limit"] == "10"
        assert response.headers["x-ratelimit-remaining"] == "2"
        # All of them or none: three do not fit.
        refused = await ask(served, "admin", query=f"mutation {{ a: {create} b: {create} c: {create} }}")
        assert refused.status_code == 429
        assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert "createApiKey" in refused.json()["errors"][0]["message"]
        path, body = "/api/v1/tenants/city/api-keys", {"name": "y", "roles": ["reader"]}
        made = [await served.client.post(path, json=body, headers=served.bearer("admin")) for _ in range(3)]
        assert [response.status_code for response in made] == [201, 201, 429]
        async with socket(served, "admin") as opened:
            refused_there = await run(opened, "1", f"mutation {{ {create} }}")
            assert refused_there["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        listed = await served.client.get(path, headers=served.bearer("admin"))
        assert listed.status_code == 200, "only the field is exhausted"


async def test_off_lifts_them_all(dsn: str, redis_url: str, folder: Path) -> None:
    settings = Settings(
        port=0,
        data=folder,
        database_url=dsn,
        redis_url=redis_url,
        rate_limits="off",
        rate_limit_user="1/day",
        rate_limit_anonymous="1/day",
    )
    async with wired(settings) as served:
        for _ in range(3):
            response = await ask(served)
            assert response.status_code == 200
            assert "ratelimit" not in response.headers
            assert (await served.client.post("/graphql", json=QUERY)).status_code == 401
        assert served.parts.redis is not None
        assert await served.parts.redis.keys("lakefront:limit:*") == []


async def test_with_redis_servers_count_together(dsn: str, redis_url: str, folder: Path) -> None:
    settings = Settings(port=0, data=folder, database_url=dsn, redis_url=redis_url, rate_limit_user="20/hour")
    async with wired(settings) as one, wired(settings) as other:
        remaining = [
            int((await ask(server)).headers["x-ratelimit-remaining"]) for _ in range(5) for server in (one, other)
        ]
        assert remaining[0] == 19
        assert min(remaining) < 15, "each alone would have 15 left"
        assert one.parts.redis is not None
        assert len(await one.parts.redis.keys("lakefront:limit:user:*")) == 1


async def test_without_redis_each_server_counts_alone(dsn: str, folder: Path) -> None:
    settings = Settings(port=0, data=folder, database_url=dsn, rate_limit_user="2/minute")
    async with wired(settings) as served:
        assert [(await ask(served)).status_code for _ in range(3)] == [200, 200, 429]


async def test_a_redis_that_hangs_holds_no_request_up(dsn: str, folder: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as redis:
        url = f"redis://127.0.0.1:{redis.sockets[0].getsockname()[1]}"
        settings = Settings(port=0, data=folder, database_url=dsn, redis_url=url, rate_limit_user="2/minute")
        async with wired(settings) as served:
            began = time.perf_counter()
            assert [(await ask(served)).status_code for _ in range(3)] == [200, 200, 429]
            assert time.perf_counter() - began < 1 + 2 * PATIENCE
