"""A tenant's quotas at every door: counted once an operation, refused with Retry-After, told by usage (T5)."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lakefront.server.keys import mint
from lakefront.settings import Settings
from tests.domain.permits.events import event
from tests.domain.tenants.subscribed import subscribe
from tests.server.wired import INGEST, Wired, wired

USAGE = "/api/v1/tenants/acme/usage"
ASK = {"query": "{ tenantUsage { requests { used } } }"}
LOOK = {"query": "{ permits { totalCount } }"}
KEYS = "/api/v1/tenants/acme/api-keys"
MANAGING = (
    "{ __typename me { subject } ...more } fragment more on Query { usage: tenantUsage { plan } apiKeys { name } }",
    'mutation { createApiKey(name: "k", roles: ["reader"]) { apiKey { keyId } } }',
    'mutation { revokeApiKey(keyId: "none") { apiKey { keyId } } }',
)
BESIDES = (
    "{ __typename }",
    "{ me { subject } permits { totalCount } }",
    "{ me { subject } ...more } fragment more on Query { ... { permits { totalCount } } }",
)
SEND = """mutation { ingestPermitEvents(events: [{eventId: "x", permitId: "p", eventType: STATUS_CHANGE,
  timestamp: "2024-01-15T10:30:00Z", eventData: {newStatus: "s", changedBy: "me"}}]) { accepted } }"""
FOLLOW = {"query": "subscription { permitEvents { cursor } }"}


@pytest.fixture
def settings(dsn: str, redis_url: str, tmp_path: Path) -> dict[str, Any]:
    return {"port": 0, "data": tmp_path, "database_url": dsn, "redis_url": redis_url}


@pytest.fixture
async def door(settings: dict[str, Any]) -> AsyncIterator[Wired]:
    async with wired(Settings(**settings)) as made:
        yield made


async def signed_in(door: Wired, **quotas: int) -> dict[str, str]:
    """The headers of an administrator of ``acme``, which has these quotas."""
    await subscribe(door.parts.doors.services.provisioner, "acme", **quotas)  # type: ignore[arg-type] # numbers alone
    token = mint(door.parts.key, door.parts.settings, "ada", "admin", "acme", 3600)
    return {"Authorization": f"Bearer {token}"}


def is_refused(response: httpx.Response) -> bool:
    """Whether it is refused until midnight in UTC."""
    now = datetime.now(UTC)
    left = 86_400 - (now.hour * 3600 + now.minute * 60 + now.second)
    return response.status_code == 429 and abs(int(response.headers["retry-after"]) - left) < 60


async def over_socket(door: Wired, headers: dict[str, str], query: str) -> Any:
    """The last message that a WebSocket answers an operation with, but ``complete``."""
    async with connect(
        f"ws://127.0.0.1:{door.port}/graphql", subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": headers}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        return json.loads(await socket.recv())


async def test_requests_of_all_doors_are_one_count(door: Wired) -> None:
    headers = await signed_in(door, requests=3)
    assert (await door.client.get(USAGE, headers=headers)).json()["requests"] == {"used": 0, "limit": 3, "remaining": 3}
    assert (await door.client.post("/graphql", json=LOOK, headers=headers)).json()["data"]
    assert (await over_socket(door, headers, LOOK["query"]))["payload"]["data"]
    sent = await door.client.post(INGEST, json=[event()], headers=headers)
    assert sent.status_code == 200
    last = (await door.client.get(USAGE, headers=headers)).json()
    assert (last["requests"]["remaining"], last["events"]["used"]) == (0, 1)
    assert is_refused(await door.client.post(INGEST, json=[event()], headers=headers))
    refused = await door.client.post("/graphql", json=LOOK, headers=headers)
    assert is_refused(refused)
    assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    over = await over_socket(door, headers, FOLLOW["query"])
    assert (over["type"], over["payload"][0]["extensions"]["code"]) == ("error", "RATE_LIMITED")
    assert over["payload"][0]["extensions"]["retryAfter"] > 0
    stream = await door.client.post("/graphql", json=FOLLOW, headers=headers | {"Accept": "text/event-stream"})
    assert '"RATE_LIMITED"' in stream.text
    seen = await door.client.get(USAGE, headers=door.bearer("admin"))
    assert seen.json()["requests"] == {"used": 3, "limit": 3, "remaining": 0}


async def test_past_the_day_access_is_managed_all_the_same(door: Wired) -> None:
    """Whoever has used up the day must be able to end a key that leaked, and to see why they are refused."""
    headers = await signed_in(door, requests=1)
    assert (await door.client.post("/graphql", json=LOOK, headers=headers)).status_code == 200
    assert is_refused(await door.client.post("/graphql", json=LOOK, headers=headers))
    made = await door.client.post(KEYS, json={"name": "leaked", "roles": ["reader"]}, headers=headers)
    assert made.status_code == 201
    assert len((await door.client.get(KEYS, headers=headers)).json()["api_keys"]) == 1
    assert (await door.client.get("/api/v1/tenants/acme", headers=headers)).status_code == 200
    gone = await door.client.delete(f"{KEYS}/{made.json()['key_id']}", headers=headers)
    assert gone.json()["state"] == "revoked"
    asked = await door.client.post("/graphql", json=ASK, headers=headers)
    assert asked.json()["data"]["tenantUsage"]["requests"] == {"used": "1"}
    assert "x-ratelimit-remaining" in asked.headers
    for query in MANAGING:
        told = (await door.client.post("/graphql", json={"query": query}, headers=headers)).json()
        assert "RATE_LIMITED" not in str(told), query
    for query in BESIDES:
        assert is_refused(await door.client.post("/graphql", json={"query": query}, headers=headers)), query


async def test_events_past_the_day_are_refused_at_every_door(door: Wired) -> None:
    headers = await signed_in(door, events=3)
    many = [event(eventId=f"e{number}") for number in range(4)]
    refused = await door.client.post(INGEST, json=many, headers=headers)
    assert is_refused(refused)
    assert refused.json()["error_code"] == "rate_limited"
    [told] = refused.json()["details"]
    assert (told["field"], told["limit"], told["remaining"]) == ("daily_events", 3, 3)
    assert (await door.client.post(INGEST, json=many[:3], headers=headers)).json()["accepted"] == 3
    assert (await door.client.get(USAGE, headers=headers)).json()["events"] == {"used": 3, "limit": 3, "remaining": 0}
    answer = (await door.client.post("/graphql", json={"query": SEND}, headers=headers)).json()
    extensions = answer["errors"][0]["extensions"]
    assert extensions["code"] == "RATE_LIMITED"
    assert 0 < extensions["retryAfter"] <= 86_400
    assert extensions["details"][0]["field"] == "daily_events"
    metrics = (await door.client.get("/metrics", headers=door.bearer("monitor"))).text
    assert 'lakefront_quota_refusals_total{quota="events"} 2.0' in metrics


async def test_usage_is_told_to_whoever_may_see_it(door: Wired) -> None:
    headers = await signed_in(door, storage=10)
    found = await door.client.get(USAGE, headers=headers)
    assert found.json() == {
        "tenant_id": "acme",
        "plan": "FREE",
        "date": found.json()["date"],
        "resets_at": found.json()["resets_at"],
        "pipelines": {"used": 0, "limit": 3, "remaining": 3},
        "events": {"used": 0, "limit": None, "remaining": None},
        "requests": {"used": None, "limit": None, "remaining": None},
        "storage_bytes": {"used": 0, "limit": 10, "remaining": 10},
    }
    assert (await door.client.get(USAGE)).status_code == 401
    assert (await door.client.get(USAGE, headers=door.bearer("reader"))).status_code == 403
    assert (await door.client.get("/api/v1/tenants/city/usage", headers=headers)).status_code == 403
    assert (await door.client.get("/api/v1/tenants/nobody/usage", headers=door.bearer("admin"))).status_code == 404


async def test_switched_off_no_quota_holds(settings: dict[str, Any]) -> None:
    async with wired(Settings(**settings, rate_limits="off")) as door:
        headers = await signed_in(door, requests=1, events=1)
        many = [event(eventId=f"e{number}") for number in range(4)]
        for _ in range(3):
            assert (await door.client.post(INGEST, json=many, headers=headers)).status_code == 200
        assert (await door.client.get(USAGE, headers=headers)).json()["events"]["used"] == 4
