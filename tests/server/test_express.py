"""The express way of queries: its answers are those of the long one, header by header, and it leaves nothing behind."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from lakefront.actor import CITY
from lakefront.db.database import Database
from lakefront.db.embedded import EmbeddedRedis
from lakefront.errors import Unavailable
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.run import Runner
from lakefront.server.express import Express
from lakefront.server.keys import mint
from lakefront.server.responses import GRAPHQL_PATH
from lakefront.server.ride import Ride
from lakefront.settings import Settings
from tests.databases import NewDatabase
from tests.domain.permits.events import filed
from tests.server.serving import exchange
from tests.server.wired import Wired, wired
from tests.slow import locked

APP = "https://app.example"
VARYING = {"date", "x-trace-id", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit"}
"""Headers that are another in each answer."""

ONE = '{ permit(permitId: "P1") { permitId status description } }'
NONE = '{ permit(permitId: "P9") { permitId } }'
LIST = "{ permits(first: 100) { nodes { permitId status addresses { streetName } } totalCount } }"
NODE = "query ($id: ID!) { node(id: $id) { id ... on Permit { permitId } } }"

REQUESTS: dict[str, dict[str, str]] = {
    "plain": {},
    "accepts-compression": {"Accept-Encoding": "gzip"},
    "allowed-page": {"Origin": APP},
    "own-page": {"Origin": "http://127.0.0.1"},
    "foreign-page": {"Origin": "https://evil.example"},
    "malformed-page": {"Origin": "null"},
    "foreign-host": {"Host": "evil.example"},
    "malformed-host": {"Host": "127.0.0.1:x"},
    "behind-tls": {"X-Forwarded-Proto": "https"},
    "other-media": {"Accept": "application/graphql-response+json"},
    "events": {"Accept": "text/event-stream"},
    "nothing-fits": {"Accept": "image/png"},
    "form": {"Content-Type": "text/plain"},
    "nobody": {"Authorization": ""},
    "two-secrets": {"X-API-Key": "x"},
    "traced": {"Traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"},
    "on-behalf": {"X-User-ID": "somebody"},
}
RIDING = {"plain", "accepts-compression", "allowed-page", "own-page", "behind-tls", "other-media", "traced"}


@pytest.fixture
def rides(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Ride]]:
    """The requests that went the express way."""
    taken: list[Ride] = []
    take = Express.take

    def noted(self: Express, connection: Any, body: bytes) -> Ride | None:
        ride = take(self, connection, body)
        if ride is not None:
            taken.append(ride)
        return ride

    monkeypatch.setattr(Express, "take", noted)
    yield taken
    assert all(ride.response_complete for ride in taken)


@asynccontextmanager
async def server(dsn: str, folder: Path, **settings: Any) -> AsyncIterator[Wired]:
    made = Settings(
        port=0,
        data=folder,
        database_url=dsn,
        allowed_origins=(APP,),
        trusted_proxies=("127.0.0.1",),
        compress_from=500,
        **settings,
    )
    async with wired(made) as served:
        body = [filed(f"P{number}", "2024-01-01T00:00:00Z") for number in range(5)]
        assert (await served.ingest(body)).status_code == 200
        async with asyncio.timeout(5):
            while (await served.ask("{ permits { totalCount } }"))["permits"]["totalCount"] < len(body):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        yield served
        assert served.app.state.express._operations.turns.taken == 0


@pytest.fixture(scope="module", params=["limits", "no limits"])
async def served(
    new_database: NewDatabase,
    redis_server: EmbeddedRedis,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Wired]:
    """One server for all whose answers do not hang on those before: its limits are wide."""
    limits = {"rate_limits": "on" if request.param == "limits" else "off"}
    limits |= dict.fromkeys(("rate_limit_user", "rate_limit_anonymous"), "10000/minute")
    async with new_database() as dsn:
        folder = tmp_path_factory.mktemp("express")
        async with server(dsn, folder, redis_url=redis_server.url, **limits) as made:
            yield made


@pytest.fixture
async def plain(dsn: str, tmp_path: Path) -> AsyncIterator[Wired]:
    async with server(dsn, tmp_path, rate_limits="off", graphql_timeout=2.0) as made:
        yield made


def wire(served: Wired, query: str, *more: str, variables: dict[str, Any] | None = None) -> bytes:
    """The bytes of a request by POST."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    lines = [f"POST {GRAPHQL_PATH} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Authorization: {served.bearer('reader')['Authorization']}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def ask(served: Wired, body: str, headers: dict[str, str], *, chunked: bool = False) -> httpx.Response:
    """Ask by the express way, or, as the length is not told, by the long one."""

    async def parts() -> AsyncIterator[bytes]:
        yield body.encode()

    own = {"Content-Type": "application/json", "Host": "127.0.0.1", **served.bearer("reader"), **headers}
    return await served.client.post(GRAPHQL_PATH, content=parts() if chunked else body, headers=own)


def told(response: httpx.Response) -> list[tuple[str, str]]:
    """The headers of an answer, without order and with what varies left out."""
    return sorted(
        (name, "" if name in VARYING else ", ".join(sorted(value.split(", "))) if name == "vary" else value)
        for name, value in response.headers.multi_items()
    )


def timeless(response: httpx.Response) -> Any:
    """The answer without times and trace ids."""
    if "json" not in response.headers["content-type"]:
        return re.sub(r'"(traceId|timestamp)":"[^"]*"', "", response.text)
    answer = response.json()
    if isinstance(answer, dict):
        for error in answer.get("errors", [answer]):
            for part in (error, error.get("extensions", {})):
                part.pop("timestamp", None), part.pop("traceId", None)
    return answer


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


async def counted(served: Wired) -> tuple[float, float, float]:
    """Answers with 200, operations of tier 1, requests of the tenant's day."""
    text = (await served.client.get("/metrics", headers=served.bearer("admin"))).text
    lines = [line.rpartition(" ") for line in text.splitlines()]
    shown = {name: float(value) for name, _, value in lines if name and not name.startswith("#")}
    allowances = served.parts.doors.services.allowances
    used = await allowances.requests(CITY, allowances.today)
    operations = [
        f'lakefront_http_requests_total{{route="{GRAPHQL_PATH}",status="200"}}',
        'lakefront_operations_total{tier="1"}',
    ]
    return shown[operations[0]], shown[operations[1]], used


@pytest.mark.parametrize("cut", [-1, 40, 150])
async def test_a_request_in_two_parts_goes_the_long_way(plain: Wired, rides: list[Ride], cut: int) -> None:
    await plain.ask(ONE)
    rides.clear()
    request = wire(plain, ONE)
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(request[:cut])
    await asyncio.sleep(0.05)
    writer.write(request[cut:])
    assert b'"permitId":"P1"' in await answer(reader)
    assert len(rides) == (cut in (40, 150))  # what was cut in its head has arrived whole with the rest
    writer.close()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The next answer's body."""
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-le")]
        body = await reader.readexactly(int(length))
    return gzip.decompress(body) if b"content-encoding: gzip" in head.lower() else body


async def test_requests_that_wait_behind_one_another_are_answered_in_order(plain: Wired, rides: list[Ride]) -> None:
    await plain.ask(ONE)
    rides.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    queries = [ONE, LIST, "{ __typename }", ONE]
    for _ in range(3):
        writer.write(b"".join(wire(plain, query) for query in queries))
        answers = [json.loads(await answer(reader))["data"] for _ in queries]
        assert [next(iter(data)) for data in answers] == ["permit", "permits", "__typename", "permit"]
    assert len(rides) == 3  # the first of each lot
    writer.close()


@pytest.mark.parametrize("query", [ONE, LIST], ids=["one", "list"])
async def test_who_leaves_takes_its_statement_along(plain: Wired, rides: list[Ride], query: str) -> None:
    await plain.ask(query)
    rides.clear()
    async with locked(plain.parts.doors.services.database.dsn) as watcher:
        _, writer = await asyncio.open_connection("127.0.0.1", plain.port)
        writer.write(wire(plain, query))
        await watcher.working()
        writer.close()
        await watcher.stopped()
    [ride] = rides
    assert ride.disconnected


async def test_who_leaves_does_not_take_others_along(plain: Wired, rides: list[Ride]) -> None:
    await plain.ask(ONE)
    async with locked(plain.parts.doors.services.database.dsn) as watcher:
        streams = [await asyncio.open_connection("127.0.0.1", plain.port) for _ in range(4)]
        for _, writer in streams:
            writer.write(wire(plain, ONE))
        await watcher.working()
        streams[0][1].close()
        streams[3][1].close()
        await asyncio.sleep(0.1)
    for reader, writer in streams[1:3]:
        assert b'"permitId":"P1"' in await answer(reader)
        writer.close()
    assert len(rides) == 4


@pytest.mark.parametrize("query", [ONE, LIST], ids=["one", "list"])
async def test_a_statement_that_takes_too_long_is_told_at_its_fields(
    plain: Wired, rides: list[Ride], query: str
) -> None:
    await plain.ask(query)
    rides.clear()
    async with locked(plain.parts.doors.services.database.dsn) as watcher:
        response = await ask(plain, json.dumps({"query": query}), {})
        await watcher.stopped()
    assert len(rides) == 1
    assert response.status_code == 504
    [error] = response.json()["errors"]
    assert error["path"] == ["permit" if query is ONE else "permits"]
    assert error["extensions"]["code"] == "OPERATION_TIMEOUT"


@pytest.mark.parametrize("query", [ONE, LIST], ids=["one", "list"])
async def test_a_lost_connection_is_told_at_its_fields(plain: Wired, rides: list[Ride], query: str) -> None:
    await plain.ask(query)
    rides.clear()
    dsn = plain.parts.doors.services.database.dsn
    async with locked(dsn) as watcher:
        asking = asyncio.create_task(ask(plain, json.dumps({"query": query}), {}))
        await watcher.working()
        killer = await asyncpg.connect(dsn)
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await killer.close()
        response = await asking
    assert len(rides) == 1
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert await plain.ask(query)


async def test_resolvers_answer_where_a_statement_fails(plain: Wired, rides: list[Ride]) -> None:
    query = "{ permits(first: 3) { nodes { permitId status } } }"
    before = await plain.ask(query)
    rides.clear()
    administrator = await asyncpg.connect(plain.parts.doors.services.database.dsn)
    # What was compiled names a function that fails from now on; resolvers do not call it.
    await administrator.execute('ALTER FUNCTION pg_catalog.json_build_object(VARIADIC "any") RENAME TO gone')
    try:
        assert await plain.ask(query) == before
    finally:
        await administrator.execute('ALTER FUNCTION pg_catalog.gone(VARIADIC "any") RENAME TO json_build_object')
        await administrator.close()
    assert len(rides) == 1


async def test_a_stopping_server_answers_what_it_has(dsn: str, tmp_path: Path, rides: list[Ride]) -> None:
    async with server(dsn, tmp_path, rate_limits="off") as served:
        await served.ask(LIST)
        rides.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        async with locked(dsn) as watcher:
            writer.write(wire(served, LIST, "Accept-Encoding: gzip"))
            await watcher.working()
            rides[0].keep_alive = False  # what uvicorn does to the newest request of each connection
        assert b'"totalCount"' in await answer(reader)
        assert await reader.read() == b""
        writer.close()


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


async def test_a_read_that_fails_after_its_time_is_answered_once(plain: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection may take as long to be let go, and then the failure is another one."""
    await plain.ask(LIST)

    async def late(*_: Any) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.2)
            raise Unavailable from None

    monkeypatch.setattr(Runner, "alone", late)
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(wire(plain, LIST))
    assert b"OPERATION_TIMEOUT" in await answer(reader)
    await asyncio.sleep(0.4)
    writer.write(wire(plain, "{ __typename }"))
    assert json.loads(await answer(reader)) == {"data": {"__typename": "Query"}}
    writer.close()


async def test_an_answer_that_cannot_be_made_ends_its_connection_alone(
    plain: Wired, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await plain.ask(ONE)
    broken, whole = Operations.answer_of, asyncio.Event()

    def fails_once(self: Operations, *arguments: Any) -> bytes:
        if not whole.is_set():
            whole.set()
            raise ZeroDivisionError
        return broken(self, *arguments)

    monkeypatch.setattr(Operations, "answer_of", fails_once)
    streams = [await asyncio.open_connection("127.0.0.1", plain.port) for _ in range(3)]
    for _, writer in streams:
        writer.write(wire(plain, ONE))
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(reader.read(10) for reader, _ in streams))
    assert sorted(answers) == [b"", b"HTTP/1.1 2", b"HTTP/1.1 2"]
    assert "ZeroDivisionError" in caplog.text
    for _, writer in streams:
        writer.close()


async def test_http_1_0_goes_the_long_way(plain: Wired, rides: list[Ride]) -> None:
    await plain.ask(ONE)
    rides.clear()
    request = wire(plain, ONE, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert b'"permitId":"P1"' in await exchange(plain.port, request)
    assert not rides
