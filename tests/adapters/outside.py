"""An outside system that does as it is told: a real HTTP server, down to resets, slow bodies and broken answers."""

import asyncio
import contextlib
import ssl
import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Self

import orjson


@dataclass(frozen=True, slots=True)
class Got:
    """A request that came in; ``connection`` counts connections from 1."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; ``wait`` seconds before, ``pace`` between every two bytes of the body."""

    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    pace: float = 0.0
    length: int | None = None
    """What Content-Length says, if not the truth."""


class Fault(Enum):
    """What is done instead of answering."""

    RESET = "reset"
    """The connection is reset once the request is read."""
    CLOSE = "close"
    """It is closed."""
    SILENCE = "silence"
    NOISE = "noise"
    """What comes is no HTTP."""


def told(value: Any, status: int = 200, **headers: str) -> Answer:
    """JSON."""
    return Answer(status, orjson.dumps(value), headers=headers)


class Outside:
    """The server, in the test's loop. Answers ``then`` in turn, after them as ``rule`` says."""

    def __init__(
        self,
        rule: Callable[[Got], Answer | Fault] = lambda _: Answer(),
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.rule = rule
        self._host = host
        self._tls = tls
        self.then: deque[Answer | Fault] = deque()
        self.got: list[Got] = []
        self.under_way = 0
        self.most_under_way = 0
        self._connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, self._host, 0, ssl=self._tls)
        host = "localhost" if self._tls else f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http{'s' if self._tls else ''}://{host}:{self._server.sockets[0].getsockname()[1]}"
        return self

    def hang_up(self) -> None:
        """Close all connections, whatever is under way."""
        for writer in self._writers:
            writer.close()

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        task = asyncio.create_task(self._serve(reader, writer, self._connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._one(reader, writer, number):
                    pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        """Whether the connection is kept."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = first.split(" ")
        got = Got(method, target, headers, body, number)
        self.got.append(got)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self._answer(self.then.popleft() if self.then else self.rule(got), writer)
        finally:
            self.under_way -= 1

    async def _answer(self, answer: Answer | Fault, writer: asyncio.StreamWriter) -> bool:
        match answer:
            case Fault.RESET:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
                return False
            case Fault.CLOSE:
                return False
            case Fault.SILENCE:
                await asyncio.sleep(3600)
                return False
            case Fault.NOISE:
                writer.write(b"\x00\x01 what is this?\r\n\r\n")
                await writer.drain()
                return False
        await asyncio.sleep(answer.wait)
        length = len(answer.body) if answer.length is None else answer.length
        headers = {"content-type": answer.kind, "content-length": str(length), **answer.headers}
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        writer.write(f"HTTP/1.1 {answer.status} As told\r\n{told}\r\n".encode("latin-1"))
        if answer.pace:
            for index in range(len(answer.body)):
                writer.write(answer.body[index : index + 1])
                await writer.drain()
                await asyncio.sleep(answer.pace)
        writer.write(b"" if answer.pace else answer.body)
        await writer.drain()
        return answer.length is None
