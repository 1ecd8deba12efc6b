"""Names that the server answers to, and names that it does not (DNS rebinding)."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from lakefront.server.hosts import HostCheck, split_authority
from lakefront.settings import Settings
from tests.server.serving import exchange
from tests.server.wired import Wired, wired

LOOPBACK = ["localhost", "localhost:8000", "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.1:9", "[::1]", "[::1]:8000"]
FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil@localhost",
    "",
]
ADDRESSES = ["10.0.0.7:8000", "192.168.1.5", "[fd00::7]:80"]


@pytest.fixture
async def served(dsn: str, tmp_path: Path) -> AsyncIterator[Wired]:
    async with wired(Settings(port=0, data=tmp_path, database_url=dsn)) as made:
        yield made


async def ask(host: str, *, bound: str = "127.0.0.1", allowed: tuple[str, ...] = ()) -> int:
    """The status that a request for ``host`` gets of a server that listens on ``bound``."""

    async def answer(request: Request) -> Response:
        del request
        return PlainTextResponse("reached")

    app: Any = HostCheck(Starlette(routes=[Route("/", answer)]), bound, allowed)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://unused") as client:
        return (await client.get("/", headers={"Host": host})).status_code


@pytest.mark.parametrize("host", LOOPBACK)
async def test_loopback_is_always_ours(host: str) -> None:
    for bound in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.7", "lake.internal"):
        assert await ask(host, bound=bound) == 200, bound


@pytest.mark.parametrize("host", FOREIGN)
async def test_other_names_are_not(host: str) -> None:
    for bound in ("127.0.0.1", "0.0.0.0", "::", "10.0.0.7"):
        assert await ask(host, bound=bound) == 421, bound


@pytest.mark.parametrize("host", ADDRESSES)
async def test_an_address_is_ours_where_we_listen_beyond_loopback(host: str) -> None:
    assert await ask(host, bound="127.0.0.1") == 421
    assert await ask(host, bound="0.0.0.0") == 200
    assert await ask(host, bound="::") == 200


async def test_names_that_an_operator_sets_are_ours() -> None:
    assert await ask("lake.example", allowed=("lake.example",)) == 200
    assert await ask("Lake.Example.:443", allowed=("lake.example",)) == 200
    assert await ask("other.example", allowed=("lake.example",)) == 421
    assert await ask("lake.internal:8000", bound="lake.internal") == 200
    assert await ask("whatever.example", allowed=("*",)) == 200


async def test_a_malformed_host_is_a_bad_request() -> None:
    assert await ask("localhost:http") == 400
    assert await ask("localhost:1:2") == 421


@pytest.mark.parametrize(
    ("authority", "parts"),
    [
        ("Example.org", ("example.org", "")),
        ("example.org:80", ("example.org", "80")),
        ("[::1]", ("::1", "")),
        ("[::1]:80", ("::1", "80")),
        ("example.org:", ("example.org", "")),
        ("", ("", "")),
    ],
)
def test_an_authority_is_split(authority: str, parts: tuple[str, str]) -> None:
    assert split_authority(authority) == parts


async def test_every_path_but_health_is_checked(served: Wired) -> None:
    for path in ("/", "/graphql", "/docs", "/openapi.json", "/ready", "/metrics", "/console/assets/x.js", "/nothing"):
        response = await served.client.get(path, headers={"Host": "evil.example"})
        assert response.status_code == 421, path
        said = response.json()
        if path == "/graphql":
            [said] = said["errors"]
            assert said["extensions"]["code"] == "MISDIRECTED_REQUEST", "the shape of all its errors"
        else:
            assert said["error_code"] == "misdirected_request"
        assert "LAKEFRONT_ALLOWED_HOSTS" in said["message"]
    posted = await served.ingest([], host="evil.example")
    assert posted.status_code == 421
    assert (await served.client.get("/health", headers={"Host": "evil.example"})).status_code == 200


async def test_a_websocket_is_checked_too(served: Wired, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lakefront")
    names = {"evil.example": (421, "misdirected_request"), "localhost": (403, "forbidden")}
    for name, (status, code) in names.items():
        url, origin = f"ws://{name}:{served.port}/graphql", Origin("https://evil.example")
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, host="127.0.0.1", port=served.port, proxy=None, origin=origin):
                pass
        answer = refused.value.response
        assert (answer.status_code, json.loads(answer.body)["errors"][0]["extensions"]["errorCode"]) == (status, code)
        told = f"request refused trace_id={answer.headers['x-trace-id']} code={code} status={status}"
        assert told in [record.getMessage() for record in caplog.records]
    await asyncio.sleep(0.1)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_two_hosts_are_refused_and_a_prober_without_any_is_not(served: Wired) -> None:
    twice = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert (await exchange(served.port, twice)).startswith(b"HTTP/1.1 400 ")
    none = b"GET /ready HTTP/1.0\r\n\r\n"
    assert b" 200 OK" in await exchange(served.port, none)
