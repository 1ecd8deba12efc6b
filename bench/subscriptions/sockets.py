"""Sockets that cost next to nothing: what comes is kept with its time, counted at once, and read only afterwards."""

import asyncio
import re
import time
from base64 import b64encode
from collections import Counter
from os import urandom
from typing import Any

import orjson

EVENT_ID = re.compile(rb'"eventId":"([^"]+)"')
MARK = b'"eventId"'
PING = b"\x89\x04"
"""A ping as servers send it; text in ASCII has no such bytes."""

DOCUMENT = "subscription { permitEvents { cursor event { eventId permitId eventType occurredAt source } } }"


class Socket(asyncio.Protocol):
    """One socket that follows all events; ``count`` is how many messages have come since ``forget``."""

    def __init__(self) -> None:
        self.count = 0
        self.chunks: list[tuple[float, bytes]] = []
        self.closed = False
        self._end = b""
        self._news = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        """Keep the way out."""
        self.transport: asyncio.Transport = transport

    def data_received(self, data: bytes) -> None:
        """Count, and keep."""
        self.chunks.append((time.perf_counter(), data))
        self.count += (self._end + data).count(MARK)
        self._end = data[1 - len(MARK) :]
        ping = data.find(PING)
        if ping >= 0:
            self.transport.write(b"\x8a\x84" + bytes(4) + data[ping + len(PING) : ping + len(PING) + 4])
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        """The server has closed it."""
        del error
        self.closed = True
        self._news.set()

    def forget(self) -> None:
        """Begin anew."""
        self.count = 0
        self.chunks.clear()

    async def until(self, number: int) -> None:
        """Return once ``number`` messages have come."""
        while self.count < number:
            assert not self.closed, self.chunks[-1:]
            self._news.clear()
            await self._news.wait()

    async def subscribe(self, host: str, token: str) -> None:
        """Shake hands, sign in, and follow from now on."""
        key = b64encode(urandom(16)).decode()
        self.transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )
        await self._answered(b"\r\n\r\n")
        self._say({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
        await self._answered(b"connection_ack")
        self._say({"id": "1", "type": "subscribe", "payload": {"query": DOCUMENT}})

    def _say(self, message: Any) -> None:
        text = orjson.dumps(message)
        size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
        self.transport.write(b"\x81" + size + bytes(4) + text)  # masked with zeros: unchanged

    async def _answered(self, mark: bytes) -> None:
        async with asyncio.timeout(30):
            while mark not in b"".join(data for _, data in self.chunks):
                assert not self.closed, self.chunks
                self._news.clear()
                await self._news.wait()
        self.forget()

    def told(self) -> list[bytes]:
        """The ids of the events, in the order in which they came."""
        return EVENT_ID.findall(b"".join(data for _, data in self.chunks))

    def delays(self, acknowledged: dict[bytes, float]) -> list[float]:
        """Seconds from each event's acknowledgement to its arrival; ids that two reads share out are left out."""
        return [
            max(0.0, at - acknowledged[name]) for at, data in self.chunks for name in EVENT_ID.findall(data)
        ]  # fmt: skip


async def open_sockets(host: str, port: int, token: str, number: int) -> list[Socket]:
    """So many sockets that follow."""
    loop = asyncio.get_running_loop()
    sockets: list[Socket] = []
    for first in range(0, number, 50):
        group = [(await loop.create_connection(Socket, host, port))[1] for _ in range(min(50, number - first))]
        await asyncio.gather(*(socket.subscribe(host, token) for socket in group))
        sockets += group
    return sockets


def wrong(sockets: list[Socket], names: list[bytes]) -> int:
    """How many messages are lost, doubled or out of order, of all sockets together: in all the same, here."""
    expected = Counter(names)
    bad = 0
    for socket in sockets:
        told = socket.told()
        if told != names:
            found = Counter(told)
            bad += max(1, (expected - found).total() + (found - expected).total())
    return bad
