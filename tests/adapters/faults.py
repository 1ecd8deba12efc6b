"""A proxy that does to HTTP what networks and busy stores do: refuse, dawdle, and lose answers that meant success.

It stands between a client and an S3 that is real enough (`s3_server.py`), in the loop of the test, and does as it is
told for the next requests (`then`) or by a rule for all of them (`rule`; `first` and `sometimes` make some). Answers
are passed on byte by byte, each on a connection of its own.
"""

import asyncio
import contextlib
import re
import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from socket import SO_LINGER, SOL_SOCKET
from typing import Self
from urllib.parse import urlsplit

LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What came from the client."""

    method: str
    target: str
    head: bytes
    body: bytes

    @property
    def kind(self) -> str:
        """What S3 is asked for: put, part, begin, complete, abort, get, list or head."""
        path, _, query = self.target.partition("?")
        match self.method:
            case "PUT":
                return "part" if "partNumber=" in query else "put"
            case "POST":
                return "complete" if "uploadId=" in query else "begin"
            case "GET":
                return "list" if path.count("/") == 1 else "get"
            case "DELETE":
                return "abort"
            case other:
                return other.lower()

    def header(self, name: str) -> str | None:
        """The value of a header; None without it."""
        found = re.search(rb"(?im)^" + name.encode() + rb":[ \t]*([^\r\n]*)", self.head)
        return found[1].decode("latin-1") if found else None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an S3 error instead of passing the request on."""

    status: int = 503
    code: str = "SlowDown"


@dataclass(frozen=True, slots=True)
class Cut:
    """Cut the connection: before the request is passed on, or after the server has answered (the lost answer)."""

    answered: bool


@dataclass(frozen=True, slots=True)
class Late:
    """Pass the request on, and the answer only ``seconds`` after it came: past the client's patience, say."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Slow:
    """Pass the request on only after ``seconds``: when its sender has given up and come again, say."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Held:
    """Pass the request on only once ``until`` is set."""

    until: asyncio.Event


@dataclass(frozen=True, slots=True)
class Truncate:
    """Pass on so many bytes of the answer's body, then cut the connection."""

    body: int


Fault = Refuse | Cut | Late | Slow | Held | Truncate
Rule = Callable[[Request], Fault | None]


def first(times: int, fault: Fault, kind: str | None = None) -> Rule:
    """``fault`` for so many requests (of one kind), and none after them."""
    left = times

    def rule(request: Request) -> Fault | None:
        nonlocal left
        if not left or kind not in {None, request.kind}:
            return None
        left -= 1
        return fault

    return rule


def sometimes(random: Random, chances: Mapping[Fault, float]) -> Rule:
    """Each fault with its own chance (0 to 1, together at most 1), as ``random`` has it."""
    faults = [*chances, None]
    weights = [*chances.values(), 1 - sum(chances.values())]
    return lambda _: random.choices(faults, weights)[0]


class FaultyProxy:
    """An HTTP proxy in front of ``upstream`` (http://host:port), itself reached at ``url`` while it is entered."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._next: deque[Fault | None] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrival = asyncio.Condition()
        self.rule: Rule = lambda _: None
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        """Where clients go; the same after ``stop`` and ``start``."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, limit=LIMIT)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be away: connections are refused, and those that are open are cut."""
        if self._server is None:
            return
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def then(self, *faults: Fault | None) -> None:
        """Do ``faults`` to the next requests, one each (None: nothing); ``rule`` decides about those after them."""
        self._next.extend(faults)

    async def asked(self, kind: str) -> None:
        """Return as soon as there was a request of this kind."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: kind in {request.kind for request in self.requests})

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            _reset(writer)
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read(reader, writer)
        async with self._arrival:
            self.requests.append(request)
            self._arrival.notify_all()
        fault = self._next.popleft() if self._next else self.rule(request)
        match fault:
            case Refuse(status, code):
                writer.write(_refusal(status, code))
            case Cut(answered=False):
                _reset(writer)
            case Cut(answered=True):
                await self._forward(request)
                _reset(writer)
            case Late(seconds):
                answer = await self._forward(request)
                await asyncio.sleep(seconds)
                writer.write(answer)
            case Slow(seconds):
                await asyncio.sleep(seconds)
                writer.write(await self._forward(request))
            case Held(until):
                await until.wait()
                writer.write(await self._forward(request))
            case Truncate(body):
                answer = await self._forward(request)
                writer.write(answer[: answer.index(b"\r\n\r\n") + 4 + body])
            case None:
                writer.write(await self._forward(request))
        await writer.drain()

    async def _forward(self, request: Request) -> bytes:
        """The server's whole answer."""
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(_close_after(request.head) + request.body)
            await writer.drain()
            head, body = (await reader.read(-1)).split(b"\r\n\r\n", 1)
            return _close_after(head + b"\r\n\r\n") + body
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    request = Request(method, target, head, b"")
    if request.header("Expect"):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
    assert request.header("Transfer-Encoding") is None, "the proxy needs a Content-Length"
    body = await reader.readexactly(int(request.header("Content-Length") or 0))
    return Request(method, target, head, body)


def _close_after(head: bytes) -> bytes:
    """The head with ``Connection: close``, so that an answer ends where its connection does."""
    head = re.sub(rb"(?im)^(connection|expect|keep-alive):[^\r\n]*\r\n", b"", head)
    return head[:-2] + b"Connection: close\r\n\r\n"


def _refusal(status: int, code: str) -> bytes:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>by the proxy</Message></Error>".encode()
    head = f"HTTP/1.1 {status} Refused\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def _reset(writer: asyncio.StreamWriter) -> None:
    """Make the close that follows a reset, not a clean end."""
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
