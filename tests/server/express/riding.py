"""What the tests of the express way ask, and how."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from lakefront.actor import CITY
from lakefront.server.responses import GRAPHQL_PATH
from lakefront.settings import Settings
from tests.domain.permits.events import filed
from tests.server.wired import Wired, wired

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
        assert served.app.state.express.operations.turns.taken == 0


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


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The next answer's body."""
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-le")]
        body = await reader.readexactly(int(length))
    return gzip.decompress(body) if b"content-encoding: gzip" in head.lower() else body
