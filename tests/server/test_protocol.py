"""What a connection may do before the application sees it, tried with bare sockets against a real server."""

import asyncio
import json
import logging
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from starlette.types import Receive, Scope, Send

from lakefront.server import protocol
from lakefront.server.protocol import MAX_HEAD, MAX_HEADERS, MAX_URL
from tests.graphql.sample import settings
from tests.server.serving import exchange, serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it got; ``/deaf`` answers without reading the body."""
    size = 0
    more = scope["path"] != "/deaf"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    if scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"30000000")]})
        await send({"type": "http.response.body", "body": b"x" * 30_000_000})
        return
    body = json.dumps({"path": scope["path"], "headers": len(scope["headers"]), "body": size}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(app, settings()) as port:
        yield port


async def test_an_ordinary_request_passes(port: int) -> None:
    answer = await exchange(port, GET + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nserver:" not in answer.lower()


MALFORMED = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "a space too many": (b"GET  / x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a NUL in a header": (GET + b"A: \x00\r\n\r\n", 400),
    "a header without a colon": (GET + b"A\r\n\r\n", 400),
    "a folded header": (GET + b"A : 1\r\n\r\n", 400),
    "two lengths": (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a length and chunks": (GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a negative length": (GET + b"Content-Length: -1\r\n\r\n", 400),
    "a length without measure": (GET + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n", 400),
    "a path that is not ASCII": ("GET /é HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "a long URL": (b"GET /" + b"a" * (MAX_URL + 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "an endless URL": (b"GET /" + b"a" * 16_000_000, 414),
    "a long header": (GET + b"A: " + b"a" * MAX_HEAD + b"\r\n\r\n", 431),
    "an endless header": (GET + b"A: " + b"a" * 16_000_000, 431),
    "many headers": (GET + b"A: 1\r\n" * (MAX_HEADERS + 1) + b"\r\n", 431),
    "many long headers": (GET + (b"A: " + b"a" * 1000 + b"\r\n") * 80 + b"\r\n", 431),
    "an endless chunk extension": (
        b"POST /" + GET[5:] + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 16_000_000,
        None,
    ),
    "endless trailers": (
        b"POST /" + GET[5:] + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"A: aaaaaaaa\r\n" * 1_000_000,
        None,
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_requests_are_refused(port: int, name: str, caplog: pytest.LogCaptureFixture) -> None:
    data, status = MALFORMED[name]
    tracemalloc.start()
    answer = await exchange(port, data, seconds=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if status is not None and len(data) < 1_000_000:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"connection: close" in head
        assert json.loads(body)["error_code"]
    # Sixteen megabytes came, but were not kept; a closed connection may lose the answer.
    assert peak < 40_000_000
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_trailers_are_dropped(port: int) -> None:
    request = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = await exchange(port, request + b"1\r\na\r\n0\r\nX-Late: 1\r\n\r\n")
    assert answer.endswith(b'{"path": "/x", "headers": 3, "body": 1}')


async def test_large_bodies_are_the_applications_business(port: int) -> None:
    request = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\nConnection: close\r\n\r\n"
    answer = await exchange(port, request + b"a" * 3_000_000)
    assert answer.endswith(b'"body": 3000000}')
    chunked = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = await exchange(port, chunked + (b"5\r\nabcde\r\n" * 100_000) + b"0\r\n\r\n")
    assert answer.endswith(b'"body": 500000}')


async def test_pipelined_requests_are_answered_in_order_but_not_without_end(port: int) -> None:
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(20))
    answer = await exchange(port, requests + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 21
    flood = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + (GET + b"\r\n") * 5000
    answer = await exchange(port, flood, seconds=3)
    assert answer.count(b"HTTP/1.1 200 OK") <= protocol.MAX_PIPELINE + 1


@pytest.mark.parametrize("beginning", [b"", b"GET /", GET + b"A: b", b"\r\n", GET + b"\r\nGET /"])
async def test_who_is_slow_with_the_head_is_let_go(
    port: int, beginning: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(beginning)
    received = b""

    async def trickle() -> None:
        while True:
            await asyncio.sleep(0.05)
            writer.write(b"\r\n" if beginning == b"\r\n" else b"x" if beginning else b"")

    task = asyncio.create_task(trickle())
    try:
        async with asyncio.timeout(3):
            while chunk := await reader.read(65536):
                received += chunk
    finally:
        task.cancel()
        writer.close()
    assert b"HTTP/1.1 408 " in received


async def test_a_body_that_nobody_wants_is_taken_for_a_moment_only(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER", 0.3)
    head = b"POST /deaf HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    async with asyncio.timeout(3):
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
    writer.close()
    # A body that arrives in time leaves the connection usable.
    answer = await exchange(port, head + b"x" * 1_000_000 + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("connection", [b"keep-alive", b"close"])
async def test_who_does_not_read_the_answer_is_let_go(
    port: int, connection: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "SEND_TIMEOUT", 0.3)
    request = b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: " + connection + b"\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
    writer.write(request)
    await asyncio.sleep(2)  # the kernels hand some of it on by themselves at first
    # What the kernel holds can still be read; the rest is gone.
    received = 0
    with suppress(ConnectionError):
        async with asyncio.timeout(3):
            while chunk := await reader.read(100_000):
                received += len(chunk)
    assert received < 30_000_000
    writer.close()
    # Who reads slowly gets all of it.
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
    writer.write(request)
    received = 0
    async with asyncio.timeout(20):
        while received < 30_000_000:
            received += len(await reader.read(1_000_000))
            await asyncio.sleep(0)
    writer.close()


HANDSHAKE = GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        b"A: " + b"a" * 9000 + b"\r\n",
        b"A: 1\r\n" * 120,
        b"Sec-WebSocket-Key: no\r\n",
        b"",
    ],
    ids=["a long header", "many headers", "a bad key", "no key"],
)
async def test_broken_handshakes_are_refused(port: int, headers: bytes, caplog: pytest.LogCaptureFixture) -> None:
    answer = await exchange(port, HANDSHAKE + headers + b"\r\n", seconds=3)
    assert answer.startswith(b"HTTP/1.1 4")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_other_upgrades_are_ignored(port: int) -> None:
    request = GET + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n"
    assert (await exchange(port, request, seconds=2)).startswith(b"HTTP/1.1 200 ")


async def test_the_clock_of_a_resting_connection_ends_when_it_becomes_a_socket() -> None:
    """A proxy sends its upgrades over connections on which requests were answered before."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            return
        await send({"type": "websocket.accept"})
        await asyncio.sleep(0.6)
        await send({"type": "websocket.send", "text": "still here"})

    async with serving(app, settings(), timeout_keep_alive=0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        async with asyncio.timeout(3):
            assert b"101" in await reader.readuntil(b"\r\n\r\n")
            assert b"still here" in await reader.readexactly(12)
        writer.close()
