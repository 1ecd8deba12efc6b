"""The express way of queries: its answers are those of the long one, header by header, whoever asks."""

import asyncio
import json
from typing import Any

import pytest

from lakefront.actor import CITY
from lakefront.db.database import Database
from lakefront.domain.documents import sha256_of
from lakefront.server.keys import mint
from lakefront.server.responses import GRAPHQL_PATH
from lakefront.server.ride import Ride
from tests.domain.permits.events import filed
from tests.server.express.riding import LIST, NODE, NONE, ONE, REQUESTS, RIDING, ask, counted, timeless, told, wire
from tests.server.serving import exchange
from tests.server.wired import Wired


@pytest.mark.parametrize("asked", REQUESTS)
@pytest.mark.parametrize("query", [ONE, NONE, LIST, "{ nothing }"], ids=["one", "none", "list", "invalid"])
async def test_both_ways_answer_the_same(served: Wired, rides: list[Ride], asked: str, query: str) -> None:
    body, headers = json.dumps({"query": query}), REQUESTS[asked]
    long = [await ask(served, body, headers, chunked=True) for _ in range(2)][-1]
    await asyncio.sleep(0.05)  # the limits' word of what was let in is there
    rides.clear()
    short = await ask(served, body, headers)
    assert short.status_code == long.status_code
    assert told(short) == told(long)
    assert timeless(short) == timeless(long)
    assert len(rides) == (asked in RIDING and query != "{ nothing }")
    if asked == "traced":
        assert short.headers["x-trace-id"] == "a" * 32


async def test_both_ways_are_counted_alike(served: Wired, rides: list[Ride]) -> None:
    took = []
    for chunked in (True, False):
        for query in (ONE, LIST):  # compiled, and the limits known, before it counts
            await ask(served, json.dumps({"query": query}), {}, chunked=True)
        await asyncio.sleep(0.05)
        rides.clear()
        before = await counted(served)
        for query in (ONE, LIST, "{ nothing }"):
            await ask(served, json.dumps({"query": query}), {}, chunked=chunked)
        assert len(rides) == (0 if chunked else 2)
        took.append([now - then for now, then in zip(await counted(served), before, strict=True)])
    long, short = took
    assert short == long
    assert long[:2] == [3, 2]


async def test_a_key_that_was_revoked_holds_no_more(served: Wired, rides: list[Ride]) -> None:
    keys, admin = "/api/v1/tenants/city/api-keys", served.bearer("admin")
    made = (
        await served.client.post(keys, json={"name": "x", "roles": ["reader"], "ttl_days": 30}, headers=admin)
    ).json()
    own = {"X-API-Key": made["api_key"]}
    for _ in range(3):
        response = await served.client.post(GRAPHQL_PATH, json={"query": ONE}, headers=own)
        assert response.status_code == 200
        await asyncio.sleep(0.05)
    assert rides
    rides.clear()
    assert (await served.client.delete(f"{keys}/{made['key_id']}", headers=admin)).status_code < 300
    async with asyncio.timeout(1):
        while (await served.client.post(GRAPHQL_PATH, json={"query": ONE}, headers=own)).status_code != 401:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    rides.clear()
    assert (await served.client.post(GRAPHQL_PATH, json={"query": ONE}, headers=own)).status_code == 401
    assert not rides


async def test_what_is_no_request_goes_the_long_way(plain: Wired, rides: list[Ride]) -> None:
    for body in ("", "[]", "{", '{"query": 1}', json.dumps({"query": ONE, "extensions": {"cost": True}})):
        short, long = [await ask(plain, body, {}, chunked=chunked) for chunked in (False, True)]
        assert (short.status_code, timeless(short)) == (long.status_code, timeless(long))
    assert not rides


async def test_a_node_rides_whatever_it_is(plain: Wired, rides: list[Ride]) -> None:
    found = await plain.ask('{ permit(permitId: "P1") { id } }')
    for _ in range(3):
        assert (await plain.ask(NODE, id=found["permit"]["id"]))["node"]["permitId"] == "P1"
    assert len(rides) == 2


async def test_one_body_shows_each_tenant_its_own_rows(plain: Wired, provisioner: Database, rides: list[Ride]) -> None:
    """What a body asks for is remembered for all tenants; who asks is not."""
    async with provisioner.transaction("-") as transaction:
        await transaction.execute(
            "INSERT INTO tenants.tenant_profiles (tenant_id, company_name, admin_email, status) "
            "VALUES ('acme', 'Acme', 'ann@acme.example', 'active')"
        )
    plain.parts.doors.services.directory.changed()

    def as_ann(role: str) -> dict[str, str]:
        token = mint(plain.parts.key, plain.parts.settings, "test:ann", role, "acme", 600)
        return {"Authorization": f"Bearer {token}"}

    theirs = [filed(name, "2024-01-01T00:00:00Z", description="theirs") for name in ("P1", "X1")]
    assert (await plain.ingest(theirs, **as_ann("ingest"))).status_code == 200
    bearers = {CITY: plain.bearer("reader"), "acme": as_ann("reader")}
    one, listed = (
        '{ permit(permitId: "P1") { description } }',
        "{ permits(first: 100) { nodes { permitId description } } }",
    )

    async def asked(tenant: str, query: str) -> Any:
        response = await plain.client.post(GRAPHQL_PATH, json={"query": query}, headers=bearers[tenant])
        assert response.status_code == 200, response.text
        return response.json()["data"]

    async with asyncio.timeout(5):
        while len((await asked("acme", listed))["permits"]["nodes"]) < len(theirs):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    for query in (one, listed):
        before = {tenant: await asked(tenant, query) for tenant in bearers}
        rides.clear()
        tenants = [*bearers] * 10
        found = await asyncio.gather(*(asked(tenant, query) for tenant in tenants))
        assert [before[tenant] for tenant in tenants] == found
        assert len(rides) == len(tenants)
    nodes = [{"permitId": name, "description": "theirs"} for name in ("P1", "X1")]
    assert before["acme"] == {"permits": {"nodes": nodes}}
    assert "theirs" not in json.dumps(before[CITY])


async def test_extensions_of_clients_keep_nobody_from_riding(plain: Wired, rides: list[Ride]) -> None:
    await plain.ask(ONE)
    rides.clear()
    of_apollo = {"query": ONE, "variables": {}, "extensions": {"clientLibrary": {"name": "x", "version": "4"}}}
    assert (await ask(plain, json.dumps(of_apollo), {})).json()["data"]["permit"]["permitId"] == "P1"
    assert len(rides) == 1


HASHED = {
    "trusted": '{ permit(permitId: "P2") { permitId } }',
    "registered": '{ permit(permitId: "P3") { permitId } }',
    "unknown": '{ permit(permitId: "P4") { permitId } }',
}


@pytest.mark.parametrize("by", ["documentId", "persistedQuery"])
async def test_documents_are_named_by_their_hash_either_way(
    plain: Wired, provisioner: Database, rides: list[Ride], by: str
) -> None:
    named = {name: _named(text, by) for name, text in HASHED.items()}
    async with provisioner.transaction("-") as transaction:
        insert = "INSERT INTO lakefront.persisted_documents (sha256, name, document) VALUES ($1, '', $2)"
        await transaction.execute(insert, sha256_of(HASHED["trusted"]), HASHED["trusted"])
    await asyncio.sleep(0.1)  # the notice of it
    first = await ask(plain, json.dumps({"query": HASHED["registered"], **named["registered"]}), {})
    assert first.status_code == 200
    for name, body in named.items():
        long = [await ask(plain, json.dumps(body), {}, chunked=True) for _ in range(2)][-1]
        rides.clear()
        short = await ask(plain, json.dumps(body), {})
        assert (short.status_code, told(short), timeless(short)) == (long.status_code, told(long), timeless(long))
        assert len(rides) == (name != "unknown"), name
        other = await ask(plain, json.dumps(body), {"Authorization": ""}, chunked=False)
        assert other.status_code == 401


def _named(text: str, by: str) -> dict[str, Any]:
    sha256 = sha256_of(text).hex()
    if by == "documentId":
        return {"documentId": f"sha256:{sha256}"}
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256}}}


async def test_a_document_that_is_trusted_no_more_is_not_known_by_its_hash(
    plain: Wired, provisioner: Database, rides: list[Ride]
) -> None:
    text = HASHED["trusted"]
    async with provisioner.transaction("-") as transaction:
        insert = "INSERT INTO lakefront.persisted_documents (sha256, name, document) VALUES ($1, '', $2)"
        await transaction.execute(insert, sha256_of(text), text)
    body = json.dumps(_named(text, "documentId"))
    async with asyncio.timeout(5):
        while not rides:
            await ask(plain, body, {})
            await asyncio.sleep(0.02)
    async with provisioner.transaction("-") as transaction:
        await transaction.execute("DELETE FROM lakefront.persisted_documents")
    async with asyncio.timeout(5):
        while "errors" not in (await ask(plain, body, {})).json():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    rides.clear()
    assert "errors" in (await ask(plain, body, {})).json()
    assert not rides


PLANNED_ONCE = {
    "beside": {"query": "{ me { subject } permits(first: 1) { totalCount } }"},
    "resolvers": {"query": "{ me { subject } }"},
    "invalid variables": {"query": NODE, "variables": {"id": {}}},
    "forbidden": {"query": "{ policyRules { totalCount } }"},
    "too dear": {"query": "{ permits(first: 1000) { nodes { events(first: 1000) { nodes { eventId } } } } }"},
}


@pytest.mark.parametrize("name", PLANNED_ONCE)
async def test_what_takes_the_long_way_is_planned_for_it_alone(plain: Wired, rides: list[Ride], name: str) -> None:
    """As the memories of the planner count: they are looked into no more often than on the long way."""
    planner = plain.app.state.express.operations.planner
    memories = (planner.documents, planner.plans, planner.refused)
    body, looks = json.dumps(PLANNED_ONCE[name]), []
    for chunked in (True, False):
        for _ in range(2):
            await ask(plain, body, {}, chunked=chunked)
        before = sum(memory.hits + memory.misses for memory in memories)
        await ask(plain, body, {}, chunked=chunked)
        looks.append(sum(memory.hits + memory.misses for memory in memories) - before)
    assert looks[0] == looks[1] > 0
    assert not rides


async def test_http_1_0_goes_the_long_way(plain: Wired, rides: list[Ride]) -> None:
    await plain.ask(ONE)
    rides.clear()
    request = wire(plain, ONE, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert b'"permitId":"P1"' in await exchange(plain.port, request)
    assert not rides
