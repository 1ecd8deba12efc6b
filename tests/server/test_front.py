"""The short way of operations by POST: its answers are those of the long one, header by header."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from lakefront.server.front import OPERATIONS
from lakefront.settings import Settings
from tests.server.wired import Wired, wired

APP = "https://app.example"
VARYING = {"date", "x-trace-id", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit"}
"""Headers that are another in each answer."""

SMALL = '{"query": "{ __typename }"}'
LARGE = json.dumps({"query": "{ __schema { types { name description } } }"})

REQUESTS: dict[str, dict[str, str]] = {
    "plain": {},
    "accepts-compression": {"Accept-Encoding": "br, gzip"},
    "allowed-page": {"Origin": APP},
    "own-page": {"Origin": "http://testserver"},
    "foreign-page": {"Origin": "https://evil.example"},
    "malformed-page": {"Origin": "null"},
    "foreign-host": {"Host": "evil.example"},
    "malformed-host": {"Host": "testserver:x"},
    "behind-tls": {"X-Forwarded-Proto": "https"},
    "other-media": {"Accept": "application/graphql-response+json"},
    "events": {"Accept": "text/event-stream"},
    "nothing-fits": {"Accept": "image/png"},
    "form": {"Content-Type": "text/plain"},
    "nobody": {"Authorization": ""},
    "two-secrets": {"X-API-Key": "x"},
    "malformed-length": {"Content-Length": "x"},
}


@pytest.fixture(params=["limits", "no limits"])
async def served(dsn: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Wired]:
    settings = Settings(
        port=0,
        data=tmp_path,
        database_url=dsn,
        rate_limits="on" if request.param == "limits" else "off",
        allowed_hosts=("testserver",),
        allowed_origins=(APP,),
        trusted_proxies=("127.0.0.1",),
    )
    async with wired(settings) as made:
        yield made


async def both(served: Wired, body: str, headers: dict[str, str]) -> list[httpx.Response]:
    """The answers to the same request by the short way and by the long one."""

    async def long_way(scope: Scope, receive: Receive, send: Send) -> None:
        await Starlette.__call__(served.app, scope, receive, send)

    found = []
    for app in (served.app, long_way):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            own = {"Content-Type": "application/json", **served.bearer("admin"), **headers}
            found.append(await client.post(OPERATIONS, content=body, headers=own))
    return found


def told(response: httpx.Response) -> list[tuple[str, str]]:
    """The headers of an answer, without order and with what varies left out."""
    return sorted(
        (name, "" if name in VARYING else ", ".join(sorted(value.split(", "))) if name == "vary" else value)
        for name, value in response.headers.multi_items()
    )


@pytest.mark.parametrize("asked", REQUESTS)
@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
async def test_both_ways_answer_the_same(served: Wired, asked: str, body: str) -> None:
    short, long = await both(served, body, REQUESTS[asked])
    assert short.status_code == long.status_code
    assert told(short) == told(long)
    if short.status_code < 400:
        assert short.content == long.content


async def test_both_ways_are_counted_alike(served: Wired) -> None:
    for headers in REQUESTS.values():
        await both(served, SMALL, headers)
    text = (await served.client.get("/metrics", headers=served.bearer("admin"))).text
    counted = [line for line in text.splitlines() if line.startswith("lakefront_http_requests_total{")]
    of_both = [line for line in counted if 'route="/metrics"' not in line]
    assert len(of_both) > 4
    assert all(float(line.rpartition(" ")[2]) % 2 == 0 for line in of_both), of_both
