"""The application as a whole: what is public, one shape for what is not there, health, metrics, keys, safe headers."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from lakefront.actor import system_actor
from lakefront.db.embedded import EmbeddedPostgres, EmbeddedRedis
from lakefront.domain import ingest_tokens
from lakefront.domain.permits import STREAM
from lakefront.server.app import PUBLIC
from lakefront.server.pages.bundle import ASSETS_PATH
from lakefront.server.socket_messages import SUBPROTOCOL
from lakefront.settings import Settings
from tests.domain.permits.events import event
from tests.server.wired import INGEST, Wired, wired

ERROR_MEMBERS = {"error_code", "message", "details", "timestamp"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all: a signing key takes a moment to make."""
    return tmp_path_factory.mktemp("app")


@pytest.fixture
async def served(dsn: str, redis_url: str, folder: Path) -> AsyncIterator[Wired]:
    # More than there are doors, each of which is tried without signing in.
    settings = Settings(port=0, data=folder, database_url=dsn, redis_url=redis_url, rate_limit_anonymous="1000/minute")
    async with wired(settings) as made:
        yield made


def routes(served: Wired) -> list[tuple[str, str]]:
    """(method, path) of every HTTP route; GraphQL's own door takes two methods."""
    found = []
    for route in served.app.routes:
        assert isinstance(route, Route | WebSocketRoute), f"{route} is of a kind that this test does not walk"
        if isinstance(route, Route):
            found += [(method, route.path_format) for method in sorted(route.methods or {"GET", "POST"})]
    return found


async def test_everything_that_is_not_public_wants_a_token(served: Wired) -> None:
    walked = routes(served)
    assert {path for _, path in walked} >= {*PUBLIC, INGEST, "/graphql", "/metrics"}
    for method, path in walked:
        response = await served.client.request(method, path, params={"query": "{ __typename }"})
        if path in PUBLIC:
            # "{name}" is no file's name, which anybody may learn.
            assert response.status_code == (404 if path == ASSETS_PATH else 200), (method, path)
        else:
            assert response.status_code == 401, (method, path, response.text)
            assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_websocket_without_a_token_is_closed(served: Wired) -> None:
    sockets = [route.path for route in served.app.routes if isinstance(route, WebSocketRoute)]
    assert sockets == ["/graphql"]
    async with connect(
        f"ws://127.0.0.1:{served.port}/graphql", subprotocols=[Subprotocol(SUBPROTOCOL)], proxy=None
    ) as socket:
        await socket.send('{"type": "connection_init"}')
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4403


async def test_a_websocket_ends_with_the_ingest_token_that_is_rotated_out(served: Wired) -> None:
    database, admin = served.parts.doors.services.database, system_actor()
    old, kept = [await ingest_tokens.rotate(database, admin, STREAM) for _ in range(2)]
    url = f"ws://127.0.0.1:{served.port}/graphql"
    async with (
        connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)]) as ends,
        connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)]) as stays,
    ):
        for socket, token in ((ends, old), (stays, kept)):
            await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        await ingest_tokens.rotate(database, admin, STREAM)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(ends.recv(), 5)
        assert ends.close_code == 4403
        await stays.send('{"type":"ping"}')
        assert json.loads(await stays.recv()) == {"type": "pong"}


async def test_what_is_not_there_and_what_is_not_allowed(served: Wired) -> None:
    for path in ("/nothing", "/graphql/", "/.env", "/sf-permit-events/x", "/%00", "/..%2f..%2fetc"):
        _is_error(await served.client.get(path), 404, "not_found")
    known = routes(served)
    for path in {path for _, path in known} - {"/graphql"}:
        allowed = {method for method, known_path in known if known_path == path}
        for method in set(METHODS) - allowed:
            response = await served.client.request(method, path, headers=served.bearer("admin"))
            _is_error(response, 405, "method_not_allowed")
            assert {name.strip() for name in response.headers["allow"].split(",")} == allowed, (method, path)
    response = await served.client.delete("/graphql", headers=served.bearer("admin"))
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST, OPTIONS"
    assert response.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


def _is_error(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    body = response.json()
    assert body.keys() == ERROR_MEMBERS
    assert body["error_code"] == code


async def test_safe_headers_go_with_every_answer(served: Wired) -> None:
    answers = [await served.client.request(method, path) for method, path in routes(served)]
    answers += [await served.client.get("/nothing"), await served.client.delete("/")]
    for response in answers:
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert "server" not in response.headers
    page = await served.client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_the_front_page_names_every_door_and_loads_nothing_from_elsewhere(served: Wired) -> None:
    page = (await served.client.get("/")).text
    for path in {path for _, path in routes(served)} - {ASSETS_PATH}:
        assert path in page, path
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page


async def test_health(served: Wired) -> None:
    response = await served.client.get("/health")
    assert (response.status_code, response.json()["status"]) == (200, "ok")
    assert (await served.client.head("/health")).status_code == 200


async def test_ready(served: Wired) -> None:
    response = await served.client.get("/ready")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ready"
    assert {name: (part["status"], part["critical"]) for name, part in body["dependencies"].items()} == {
        "postgres": ("up", True),
        "redis": ("up", False),
    }
    assert all(part["latency_ms"] >= 0 for part in body["dependencies"].values())


async def test_without_redis_it_is_degraded_and_serves_on(dsn: str, folder: Path, parts_folder: Path) -> None:
    server = EmbeddedRedis(parts_folder / "redis-away")
    await server.start()
    try:
        async with wired(Settings(port=0, data=folder, database_url=dsn, redis_url=server.url)) as served:
            assert (await served.client.get("/ready")).json()["status"] == "ready"
            await server.stop()
            response = await served.client.get("/ready")
            assert (response.status_code, response.json()["status"]) == (200, "degraded")
            assert response.json()["dependencies"]["redis"]["status"] == "down"
            assert (await served.ingest([event()])).status_code == 200
            await server.start()
            assert (await served.client.get("/ready")).json()["status"] == "ready"
    finally:
        await server.stop()


async def test_without_postgresql_it_is_unavailable(folder: Path, parts_folder: Path) -> None:
    server = EmbeddedPostgres(parts_folder / "postgres-away", parameters={"fsync": "off"})
    await server.start()
    try:
        async with wired(Settings(port=0, data=folder, database_url=server.dsn())) as served:
            assert (await served.client.get("/ready")).json()["status"] == "degraded"
            await server.stop()
            response = await served.client.get("/ready")
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
            assert response.json()["status"] == "unavailable"
            assert response.json()["dependencies"]["postgres"] == {
                "status": "down",
                "critical": True,
                "latency_ms": None,
            }
            assert (await served.client.get("/health")).status_code == 200, "the process lives all the same"
            for query in ("{ permits { totalCount } }", '{ permit(permitId: "1") { status } }'):
                answer = await served.client.post("/graphql", json={"query": query}, headers=served.bearer("reader"))
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["retry-after"]) >= 1
                [error] = answer.json()["errors"]
                assert error["extensions"]["code"] == "UNAVAILABLE"
    finally:
        await server.stop()


async def test_metrics_count_what_came_in(served: Wired) -> None:
    assert (await served.client.get("/metrics", headers=served.bearer("reader"))).status_code == 403
    before = await _metrics(served)
    await served.ingest([event(), event(eventId="other"), event(eventId="bad", timestamp=...)])
    await served.ingest([event()])
    await served.client.get("/metrics")
    after = await _metrics(served)

    def grown(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return after[key] - before.get(key, 0)

    stream = "sf-permit-events"
    assert grown("lakefront_ingested_events_total", stream=stream, outcome="accepted") == 2
    assert grown("lakefront_ingested_events_total", stream=stream, outcome="duplicate") == 1
    assert grown("lakefront_ingested_events_total", stream=stream, outcome="rejected") == 1
    assert grown("lakefront_http_requests_total", route=INGEST, status="200") == 2
    assert grown("lakefront_http_requests_total", route="/metrics", status="401") == 1
    for name in ("latency_count", "request_rate_total"):
        assert grown(name, service="lakefront", endpoint=INGEST) == 2


async def _metrics(served: Wired) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = await served.client.get("/metrics", headers=served.bearer("monitor"))
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(response.text))
    assert all(family.documentation for family in families)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


async def test_the_published_keys_verify_a_token_and_hold_no_secret(served: Wired) -> None:
    published = (await served.client.get("/.well-known/jwks.json")).json()
    assert published["keys"]
    for key in published["keys"]:
        assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}
    token = jwt.decode(served.token("reader"), KeySet.import_key_set(published), algorithms=["RS256"])
    assert token.claims["roles"] == ["reader"]
