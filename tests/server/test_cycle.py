"""The head of an answer on the wire: as uvicorn itself writes it."""

import re
from collections.abc import AsyncIterator
from typing import Final

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from lakefront.server import protocol
from lakefront.server.cycle import Cycle
from tests.graphql.sample import settings
from tests.server.serving import exchange, serving

Headers = list[tuple[bytes, bytes]]

HEADS: Final[dict[str, tuple[int, Headers]]] = {
    "plain": (200, [(b"content-type", b"application/json"), (b"content-length", b"2"), (b"vary", b"Accept")]),
    "many": (404, [(b"content-length", b"2"), *((b"x-%d" % number, b"v%d" % number) for number in range(700))]),
    "no length": (200, [(b"content-type", b"text/plain")]),
    "chunked": (200, [(b"transfer-encoding", b"chunked")]),
    "closing": (200, [(b"content-length", b"2"), (b"connection", b"close")]),
    "large": (200, [(b"content-length", b"300000")]),
    "too short": (200, [(b"content-length", b"3")]),
    "too long": (200, [(b"content-length", b"1")]),
    "in parts": (200, [(b"content-length", b"4")]),
    "trace": (500, [(b"x-trace-id", b"0123"), (b"content-length", b"2"), (b"retry-after", b"1")]),
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the head that the query names."""
    del receive
    name = scope["query_string"].decode().replace("+", " ")
    status, headers = HEADS.get(name, (200, [(b"content-length", b"2"), (b"x-bad", b"a\r\nb: c")]))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if name == "in parts":
        await send({"type": "http.response.body", "body": b"ok", "more_body": True})
    await send({"type": "http.response.body", "body": b"ok" * 150_000 if name == "large" else b"ok"})


class _Stock(Cycle):
    """Ours, but it sends as uvicorn does."""

    send = RequestResponseCycle.send


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(app, settings()) as port:
        yield port


async def _asked(port: int, name: str, last: bytes, method: bytes = b"GET") -> bytes:
    line = method + b" /?%b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (name.replace(" ", "+").encode(), last)
    ending = b"GET /?closing HTTP/1.1\r\nHost: x\r\n\r\n" if not last else b""
    return re.sub(rb"date: [^\r]*\r\n", b"", await exchange(port, line + ending))


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize("name", HEADS)
async def test_a_head_is_as_uvicorn_writes_it(
    port: int, name: str, last: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = (b"GET", b"HEAD")
    ours = [await _asked(port, name, last, method) for method in methods]
    monkeypatch.setattr(protocol, "Cycle", _Stock)
    theirs = [await _asked(port, name, last, method) for method in methods]
    assert ours == theirs


async def test_no_header_breaks_out_of_its_line(port: int, caplog: pytest.LogCaptureFixture) -> None:
    for last in (b"", b"Connection: close\r\n"):
        assert b"\r\nb: c" not in await _asked(port, "bad", last)
    assert caplog.text.count("Invalid header") + caplog.text.count("Invalid HTTP header value.") >= 2
