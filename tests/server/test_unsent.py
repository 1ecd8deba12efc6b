"""Clients that read slowly, through every door: they are no less patient with us than we are with them."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from lakefront.server import protocol, socket_protocol
from lakefront.server.graphql_http import GraphQLHTTP
from lakefront.server.unsent import while_taken
from lakefront.settings import Settings
from tests.graphql.sample import World, build
from tests.server.serving import guarded, serving
from tests.server.sockets import opened, until

PATIENCE = 0.4
"""Seconds that a client may take nothing."""

READING = 5 * PATIENCE
"""Seconds for which the clients read slowly: less than a third of what the kernel keeps for them."""

SIZE, NUMBER = 100_000, 100
LARGE = f"subscription {{ count(to: {NUMBER}, size: {SIZE}) }}"


def masked(text: str) -> bytes:
    """A client's frame."""
    return bytes([0x81, 0xFE, *len(text).to_bytes(2, "big"), 0, 0, 0, 0]) + text.encode()


HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
INIT = masked('{"type":"connection_init","payload":{"Authorization":"Bearer reader"}}')
FOLLOW = masked(f'{{"id":"1","type":"subscribe","payload":{{"query":"{LARGE}"}}}}')


class SlowClient:
    """A connection that takes little at a time, and whose kernel keeps little for it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.received = bytearray()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._connection, data)

    async def follow(self) -> None:
        """Speak the protocol as far as the first event."""
        for message, answer in ((HANDSHAKE, b"\r\n\r\n"), (INIT, b"connection_ack")):
            await self.send(message)
            await self.read_until(answer)
        await self.send(FOLLOW)

    async def read_slowly(self, seconds: float) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while clock() < end:
            await self._read(16_000)
            await asyncio.sleep(0.05)

    async def read_until(self, last: bytes) -> None:
        async with asyncio.timeout(20):
            while last not in self.received[-200:]:
                await self._read(1_000_000)

    async def _read(self, number: int) -> None:
        data = await asyncio.get_running_loop().sock_recv(self._connection, number)
        if not data:
            raise ConnectionResetError(f"The server closed after {len(self.received)} bytes.")
        self.received += data


@asynccontextmanager
async def slow_client(port: int) -> AsyncIterator[SlowClient]:
    with socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        narrow.settimeout(0)
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port))
        yield SlowClient(narrow)


async def test_a_websocket_that_is_read_slowly_gets_all() -> None:
    async with opened(socket_send_timeout=PATIENCE) as door, slow_client(door.port) as client:
        await client.follow()
        await client.read_slowly(READING)
        assert door.world.following
        await client.read_until(b'"type":"complete"')
        assert client.received.count(b'"type":"next"') == NUMBER


async def test_a_slow_reader_need_not_answer_a_ping_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not come to the ping yet."""
    monkeypatch.setattr(socket_protocol, "LINGER", 0.1)
    pings = {"ws_ping_interval": PATIENCE, "ws_ping_timeout": PATIENCE}
    async with opened(socket_send_timeout=60) as door:
        settings = door.app._settings
        async with serving(guarded(door.app, settings), settings, **pings) as port, slow_client(port) as client:
            await client.follow()
            await client.read_slowly(READING)
            assert door.world.following
            # Who reads nothing any more is gone.
            await until(lambda: not door.world.following)


@asynccontextmanager
async def http_door() -> AsyncIterator[tuple[int, World]]:
    operations, world, settings = build(socket_send_timeout=PATIENCE)
    app = GraphQLHTTP(operations, world.authenticate, settings)
    async with serving(guarded(app, settings), settings) as port:
        yield port, world


def asking(accept: str, query: str) -> bytes:
    body = f'{{"query":"{query}"}}'
    return (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer reader\r\nAccept: {accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def test_an_event_stream_that_is_read_slowly_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SEND_TIMEOUT", PATIENCE)
    async with http_door() as (port, world), slow_client(port) as client:
        await client.send(asking("text/event-stream", LARGE))
        await client.read_slowly(READING)
        assert world.following
        await client.read_until(b"event: complete\ndata:\n\n")
        assert client.received.count(b"event: next") == NUMBER


async def test_an_answer_that_is_read_slowly_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SEND_TIMEOUT", PATIENCE)

    async def large(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"x" * SIZE * NUMBER + b"the end"})

    async with serving(large, Settings(port=0)) as port, slow_client(port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.read_slowly(READING)
        await client.read_until(b"the end")
        assert client.received.count(b"x") == SIZE * NUMBER


async def test_the_last_bytes_are_waited_for_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the answer is all written and the connection to be closed, but a little of it is still to be taken."""
    monkeypatch.setattr(protocol, "SEND_TIMEOUT", PATIENCE)
    made = protocol.HTTPProtocol.connection_made

    def narrow(self: protocol.HTTPProtocol, transport: asyncio.Transport) -> None:
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as there:
            there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 150_000)
        made(self, transport)

    monkeypatch.setattr(protocol.HTTPProtocol, "connection_made", narrow)

    async def sized(scope: Scope, _receive: Receive, send: Send) -> None:
        body = b"x" * int(scope["path"][1:])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": body + b"the end"})

    async def ask(port: int, size: int) -> None:
        async with slow_client(port) as client:
            await client.send(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % size)
            await client.read_slowly(2 * PATIENCE)
            await client.read_until(b"the end")

    async with serving(sized, Settings(port=0)) as port:
        # One of them is a little more than what the kernel takes.
        await asyncio.gather(*(ask(port, size) for size in range(200_000, 800_000, 30_000)))


@pytest.mark.parametrize(
    ("unsent", "patient"), [(lambda: 7, False), (iter([7, 6, 5, 5]).__next__, True)], ids=["none taken", "some taken"]
)
async def test_patience_lasts_while_something_is_taken(unsent: Callable[[], int], patient: bool) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    with pytest.raises(TimeoutError):
        async with while_taken(unsent, 0.05):
            await asyncio.sleep(5)
    assert (clock() - began > 0.14) is patient
