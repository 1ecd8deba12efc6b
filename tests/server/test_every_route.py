"""What holds for every route, those to come included: safe headers, no cookies, no forms, bounded bodies, CORS."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from lakefront.server.bodies import FREE
from lakefront.server.cors import EXPOSED
from lakefront.server.limits.headers import NAMES
from lakefront.server.pages.bundle import ASSETS_PATH
from lakefront.server.security_headers import SAFE
from lakefront.settings import Settings
from tests.server.serving import exchange
from tests.server.wired import Wired, wired

APP = "https://app.example"
FORMS = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "Text/Plain;charset=utf-8",
)
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}

Ask = tuple[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all: a signing key takes a moment to make."""
    return tmp_path_factory.mktemp("routes")


@pytest.fixture
async def served(dsn: str, folder: Path) -> AsyncIterator[Wired]:
    settings = Settings(
        port=0,
        data=folder,
        database_url=dsn,
        rate_limits="off",
        allowed_origins=(APP,),
        trusted_proxies=("127.0.0.2",),
        body_timeout=2.0,
    )
    async with wired(settings) as made:
        yield made


def asks(served: Wired) -> Iterator[Ask]:
    """(method, path) of every route, with something in place of its parameters."""
    for route in served.app.routes:
        if isinstance(route, Route):
            path = route.path_format
            for name in route.param_convertors:
                path = path.replace(f"{{{name}}}", "city" if name == "tenant_id" else "x")
            yield from ((method, path) for method in sorted(route.methods or {"GET", "POST"}))


async def everything(served: Wired, **headers: str) -> list[tuple[Ask, httpx.Response]]:
    """The answer of every route to an admin, and those where there is no route."""
    headers = {**served.bearer("admin"), **headers}
    elsewhere = [("GET", "/nothing"), ("DELETE", "/"), ("OPTIONS", "/graphql"), ("TRACE", "/lake/x")]
    return [(ask, await served.client.request(*ask, headers=headers)) for ask in [*asks(served), *elsewhere]]


async def test_every_answer_has_the_safe_headers_once(served: Wired) -> None:
    for ask, response in [*await everything(served), *await everything(served, Host="evil.example")]:
        names = [name.lower() for name, _ in response.headers.multi_items()]
        assert set(SAFE) <= set(names), ask
        # CORS and negotiation may each have their part in it.
        assert len(names) - len(set(names)) == max(0, names.count("vary") - 1), ask
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert "strict-transport-security" not in response.headers
        assert "set-cookie" not in response.headers
        assert "access-control-allow-origin" not in response.headers
        if not ask[1].startswith(("/docs", "/redoc", ASSETS_PATH.partition("{")[0], "/lake/")):
            assert response.headers["cache-control"] == "no-store", ask


async def test_what_is_no_http_is_refused_with_safe_headers(served: Wired) -> None:
    answer = await exchange(served.port, b"NOT HTTP\r\n\r\n")
    for name, value in SAFE.items():
        assert f"\r\n{name}: {value}\r\n".encode() in answer


async def test_tls_is_asked_for_behind_tls_alone(served: Wired) -> None:
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", transport=transport) as proxy:
        behind_tls = await proxy.get("/", headers={"X-Forwarded-Proto": "https"})
        assert behind_tls.headers["strict-transport-security"] == "max-age=31536000"
        assert "strict-transport-security" not in (await proxy.get("/")).headers
    pretended = await served.client.get("/", headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" not in pretended.headers


async def test_no_route_takes_what_a_form_can_send(served: Wired) -> None:
    walked = [(method, path) for method, path in asks(served) if method in CHANGING]
    assert len(walked) > 5
    for method, path in walked:
        for kind in FORMS:
            for body in (b"", b'{"query": "{ __typename }"}', b"a=b"):
                response = await served.client.request(
                    method, path, content=body, headers={**served.bearer("admin"), "Content-Type": kind}
                )
                assert response.status_code == 415, (method, path, kind, response.text)
                assert "unsupported_media_type" in response.text.lower()


async def test_no_route_takes_a_body_without_a_type(served: Wired) -> None:
    for method, path in asks(served):
        if method == "POST":
            response = await served.client.post(path, content=b"[]", headers=served.bearer("admin"))
            assert response.status_code == 415, (path, response.text)


async def test_an_announced_body_that_is_too_large_is_refused_at_once(served: Wired) -> None:
    token = served.token("admin")
    for method, path in asks(served):
        request = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {10**9}\r\nExpect: 100-continue\r\n"
            "Connection: close\r\n\r\n"
        )
        answer = await exchange(served.port, request.encode(), seconds=5)
        assert answer.startswith(b"HTTP/1.1 413 "), (method, path, answer[:200])


async def test_no_route_takes_in_a_body_without_end(served: Wired) -> None:
    async def endless(method: str, path: str) -> tuple[Ask, int]:
        """How many bytes the server takes of a body of unknown length, until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {served.token('admin')}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        writer.write(head.encode())
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        sent = 0
        try:
            async with asyncio.timeout(20):
                while True:
                    writer.write(chunk)
                    await writer.drain()
                    sent += len(chunk)
                    await asyncio.sleep(0.02)  # some 3 MB a second
        except ConnectionError:
            pass
        finally:
            writer.close()
            del reader
        return (method, path), sent

    walked = [ask for ask in asks(served) if ask[1] != "/sf-permit-events"]
    for ask, sent in await asyncio.gather(*(endless(*ask) for ask in walked)):
        assert sent < 16 * 2**20, ask
    assert served.parts.doors.budget.used == 0


async def test_a_small_body_where_none_is_wanted_does_no_harm(served: Wired) -> None:
    for method, path in asks(served):
        if method == "GET":
            response = await served.client.request(
                method, path, content=b" " * FREE, headers={**served.bearer("admin"), "Accept": "*/*"}
            )
            assert response.status_code != 413, path


async def test_pages_of_other_origins_are_refused_everywhere(served: Wired) -> None:
    for origin in ("https://evil.example", "null", "https://app.example.evil.example", "http://app.example"):
        for ask, response in await everything(served, Origin=origin):
            assert response.status_code == 403, (ask, origin)
            assert "access-control-allow-origin" not in response.headers
            assert "Origin" in response.headers["vary"]


async def test_pages_of_allowed_origins_may_use_every_route_without_credentials(served: Wired) -> None:
    for ask, response in await everything(served, Origin=APP):
        assert response.headers["access-control-allow-origin"] == APP, ask
        assert "access-control-allow-credentials" not in response.headers
        assert "Origin" in response.headers["vary"]
        exposed = set(response.headers["access-control-expose-headers"].split(", "))
        assert exposed >= {*NAMES, "Retry-After", "X-Trace-ID", "X-API-Key-Expires", "Warning"}
        assert ", ".join(exposed) != "*"
    assert EXPOSED.isascii()


async def test_preflights_need_no_token(served: Wired) -> None:
    for method, path in asks(served):
        headers = {
            "Origin": APP,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        response = await served.client.options(path, headers=headers)
        assert response.status_code == 204, path
        assert response.headers["access-control-allow-origin"] == APP
        assert method in response.headers["access-control-allow-methods"].split(", ")
        allowed = response.headers["access-control-allow-headers"].lower().split(", ")
        assert {"authorization", "x-api-key", "content-type", "last-event-id", "idempotency-key"} <= set(allowed)
        assert "access-control-allow-credentials" not in response.headers
        refused = await served.client.options(path, headers={**headers, "Origin": "https://evil.example"})
        assert refused.status_code == 403


async def test_the_servers_own_pages_need_no_cors(served: Wired) -> None:
    for ask, response in await everything(served, Origin=f"http://127.0.0.1:{served.port}"):
        assert response.status_code != 403, ask
        assert "access-control-allow-origin" not in response.headers
