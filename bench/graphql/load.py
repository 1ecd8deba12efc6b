"""The load: prepared HTTP/1.1 requests over kept connections, each answer followed at once by the next request.

A generator that costs little, because it shares its core with PostgreSQL: no parser but for the head's few bytes, no
task per request, no decoding.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Final, NamedTuple

_TICKS: Final = 100
"""Clock ticks a second in ``/proc`` (``USER_HZ``, the same on every Linux)."""

BUFFER: Final = 1 << 20
"""Bytes of the largest answer."""

NEAR: Final = 1000
"""Bytes at either end of a body where its errors are looked for."""

_LENGTH: Final = b"content-length:"
_ERRORS: Final = b'"errors":'


class Load(NamedTuple):
    """What one run saw: answers, the seconds they took together, each one's own, the server's CPU seconds."""

    answers: int
    seconds: float
    latencies: list[float]
    cpu: float
    size: int
    """Bytes of all answers' bodies."""

    @property
    def rate(self) -> float:
        """Requests/s."""
        return self.answers / self.seconds

    @property
    def cpu_each(self) -> float:
        """Milliseconds of the server's CPU for one request."""
        return self.cpu / self.answers * 1000

    def percentile(self, part: float) -> float:
        """Milliseconds within which ``part`` of the answers came."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000


class Refused(AssertionError):
    """An answer that is no success: its head and the beginning of its body."""


class _Client(asyncio.BufferedProtocol):
    """One connection: sends the next of ``requests`` whenever an answer is complete, until ``until`` (monotonic)."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self.latencies: list[float] = []
        self.size = 0
        self._requests = requests
        self._until = until
        self._transport: asyncio.Transport
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._whole = 0  # bytes of head and body, known once the head is there
        self._body = 0
        self._sent = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Send the first request."""
        self._transport = transport
        self._send()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next part of the answer goes."""
        del sizehint
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of a part of the answer; when it is whole, check it and go on."""
        self._filled += nbytes
        if (not self._whole and not self._head()) or self._filled < self._whole:
            return
        now = time.perf_counter()
        self.latencies.append(now - self._sent)
        if not self._is_success():
            self._fail(Refused(bytes(self._view[: min(self._filled, 1500)]).decode(errors="replace")))
            return
        self.size += self._whole - self._body
        self._filled = self._whole = 0
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end: ours, or, while an answer is due, a failure."""
        if not self.done.done():
            if exc is not None or time.perf_counter() < self._until:
                self.done.set_exception(exc or Refused("the server closed the connection"))
            else:
                self.done.set_result(None)

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, self._filled)
        if end < 0:
            return False
        head = bytes(self._view[: end + 2]).lower()
        at = head.find(_LENGTH)
        if at < 0:
            self._fail(Refused(head.decode(errors="replace")))
            return False
        self._body = end + 4
        self._whole = self._body + int(head[at + len(_LENGTH) : head.find(b"\r\n", at)])
        if self._whole > BUFFER:
            self._fail(Refused(f"an answer of {self._whole:,} bytes"))
        return self._whole <= BUFFER

    def _is_success(self) -> bool:
        """Status 200, and no ``errors``, which stand at the beginning or at the end."""
        return (
            self._buffer.startswith(b"HTTP/1.1 200")
            and self._buffer.find(_ERRORS, self._body, min(self._body + NEAR, self._whole)) < 0
            and self._buffer.find(_ERRORS, max(self._body, self._whole - NEAR), self._whole) < 0
        )

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def _fail(self, failure: Refused) -> None:
        if not self.done.done():
            self.done.set_exception(failure)
        self._transport.abort()


async def run(url: str, requests: Sequence[bytes], *, connections: int, seconds: float, pid: int) -> Load:
    """``seconds`` of ``requests``, over and over, to the server at ``url`` whose process is ``pid``.

    The connections begin at different places of the list. Raises ``Refused`` at the first answer that is no success.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    before, started = cpu_seconds(pid), time.perf_counter()
    clients = []
    for number in range(connections):
        ordered = islice(cycle(requests), number * len(requests) // connections, None)
        _, client = await loop.create_connection(_maker(ordered, started + seconds), host, int(port))
        clients.append(client)
    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(*(client.done for client in clients))
    took = time.perf_counter() - started
    latencies = [one for client in clients for one in client.latencies]
    return Load(len(latencies), took, latencies, cpu_seconds(pid) - before, sum(client.size for client in clients))


def _maker(requests: Iterator[bytes], until: float) -> Callable[[], _Client]:
    return lambda: _Client(requests, until)


def cpu_seconds(pid: int) -> float:
    """User and system seconds of the process ``pid``, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
