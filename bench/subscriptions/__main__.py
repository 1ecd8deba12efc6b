"""Delivered messages/s, their delays and what an idle socket takes, of Lakefront and of stock Strawberry, in one run.

``python -m bench.subscriptions``: each server in a process of its own on one core, the clients on the other. Events go
in by HTTP, by a producer that waits for the slowest socket; so the rate is what the server delivers and loses nothing.
"""

import asyncio
import os
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench.append import make_events, percentiles
from bench.server import DOOR, body
from bench.subscriptions.sockets import Socket, open_sockets, wrong
from bench.wire import Connection, request
from lakefront.eventlog.events import NewEvent
from tests.process import ServerProcess

BODY = 50
"""Events of one request."""

AHEAD = 400
"""Events that the producer may be ahead of the slowest socket."""

RATE, SECONDS = 5, 6
"""Events/s at which delays are measured, and for how long."""


class Measured(NamedTuple):
    """One server with so many sockets."""

    rate: float
    cpu: float
    p50: float
    p99: float
    wrong: int
    memory: float


@dataclass(frozen=True)
class Side:
    """A server under measurement."""

    name: str
    url: str
    pid: int
    token: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80


def pin(pid: int, cores: Sequence[int]) -> None:
    """Let the process and its threads run on ``cores`` alone."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


@asynccontextmanager
async def lakefront(core: int, others: Sequence[int]) -> AsyncIterator[Side]:
    """A real server, embedded parts and all; PostgreSQL runs beside the clients."""
    limits = {"LAKEFRONT_RATE_LIMITS": "off", "LAKEFRONT_SOCKETS": "10000"}
    async with ServerProcess(environment=limits) as server:
        assert server.pid is not None
        for part in psutil.Process(server.pid).children(recursive=True):
            pin(part.pid, others)
        pin(server.pid, [core])
        yield Side("Lakefront", server.url, server.pid, server.token("service"))


@asynccontextmanager
async def stock(core: int) -> AsyncIterator[Side]:
    """Strawberry's own app."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.subscriptions.stock", str(port))
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    async with Connection(f"http://127.0.0.1:{port}"):
                        break
                except OSError:
                    await asyncio.sleep(0.05)
        pin(process.pid, [core])
        yield Side("stock Strawberry", f"http://127.0.0.1:{port}", process.pid, "none")
    finally:
        process.terminate()
        await process.wait()


async def publish(side: Side, connection: Connection, events: list[NewEvent]) -> None:
    """Append ``events``, in their order."""
    status, answer = await connection.send(request(DOOR, side.token, body(events)))
    assert status == 200, answer


def in_order(number: int) -> list[NewEvent]:
    """New events of one permit: all subscribers get them in this order."""
    made = make_events(number)
    return [
        NewEvent(each.event_id, each.event_type, "one", each.occurred_at, each.payload, each.trace_id)
        for each in made
    ]  # fmt: skip


def names(events: list[NewEvent]) -> list[bytes]:
    """Their ids as they are told."""
    return [event.event_id.encode() for event in events]


async def delivered(side: Side, sockets: list[Socket], number: int) -> tuple[float, int]:
    """Messages/s of ``number`` events told to all, as fast as they go; how many went wrong."""
    events = in_order(number)
    forget(sockets)
    started = time.perf_counter()
    async with Connection(side.url) as connection:
        for first in range(0, number, BODY):
            await asyncio.gather(*(each.until(first - AHEAD) for each in sockets))
            await publish(side, connection, events[first : first + BODY])
    await asyncio.gather(*(each.until(number) for each in sockets))
    spent = time.perf_counter() - started
    await asyncio.sleep(0.2)  # whatever is doubled comes after
    return number * len(sockets) / spent, wrong(sockets, names(events))


async def delays(side: Side, sockets: list[Socket], rate: float) -> tuple[list[float], int]:
    """Seconds from acknowledged to delivered, at ``rate`` events/s."""
    events = in_order(int(rate * SECONDS))
    acknowledged: dict[bytes, float] = {}
    forget(sockets)
    started = time.perf_counter()
    async with Connection(side.url) as connection:
        for number, event in enumerate(events):
            await asyncio.sleep(started + number / rate - time.perf_counter())
            await publish(side, connection, [event])
            acknowledged[event.event_id.encode()] = time.perf_counter()
    await asyncio.gather(*(each.until(len(events)) for each in sockets))
    return [delay for each in sockets for delay in each.delays(acknowledged)], wrong(sockets, names(events))


def forget(sockets: list[Socket]) -> None:
    """Begin anew."""
    for each in sockets:
        each.forget()


async def measure(side: Side, number: int, messages: int, rate: float) -> Measured:
    """Open ``number`` sockets and measure all; about so many ``messages`` are delivered for the rate."""
    process = psutil.Process(side.pid)
    warm = await open_sockets(*side.address, side.token, 2)
    await asyncio.sleep(1)
    await delivered(side, warm, 100)
    before = process.memory_full_info().uss
    sockets = await open_sockets(*side.address, side.token, number)
    await asyncio.sleep(1)
    memory = (process.memory_full_info().uss - before) / number
    events = max(5, messages // number)
    await delivered(side, sockets, min(events, BODY))
    worked = sum(process.cpu_times()[:2])
    rates = [await delivered(side, sockets, events) for _ in range(3)]
    cpu = (sum(process.cpu_times()[:2]) - worked) / (3 * events * number)
    waits, late = await delays(side, sockets, rate)
    for each in (*warm, *sockets):
        each.transport.abort()
    low, high = percentiles(waits)
    bad = sum(bad for _, bad in rates) + late
    return Measured(statistics.median(each for each, _ in rates), cpu, low, high, bad, memory)


async def main(counts: Sequence[int] = (200, 2000)) -> None:
    """Measure all of it and print the table."""
    cores = sorted(os.sched_getaffinity(0))
    core, others = cores[0], cores[1:] or cores
    os.sched_setaffinity(0, others)
    titles = ("sockets", "server", "messages/s", "ratio", "CPU a message", "p50", "p99", "lost, doubled", "a socket")
    table = Table(*titles, title="One stream, many sockets")
    for number in counts:
        rate = RATE * 200 / number
        async with stock(core) as side:
            theirs = await measure(side, number, 10_000, rate)
        async with lakefront(core, others) as side:
            ours = await measure(side, number, 300_000, rate)
        for name, found in (("stock Strawberry", theirs), ("Lakefront", ours)):
            table.add_row(
                *(f"{number:,}", name, f"{found.rate:,.0f}", f"{found.rate / theirs.rate:.1f}"),
                f"{found.cpu * 1e6:.0f} µs",
                *(f"{found.p50:.1f} ms", f"{found.p99:.1f} ms", f"{found.wrong}", f"{found.memory / 1024:.0f} KiB"),
            )
    Console(width=120).print(table)
    Console(width=120).print(f"Delays from acknowledged to delivered, at {RATE * 200:,} messages/s.")


if __name__ == "__main__":
    uvloop.run(main([int(argument) for argument in sys.argv[1:]] or (200, 2000)))
