"""The whole server from outside: ingest over HTTP against a bare COPY, latencies, memory, start.

``python -m bench.server``: on a real ``lakefront serve`` in a process of its own, in about two minutes.
"""

import asyncio
import statistics
import time
from typing import Any

import asyncpg
import httpx
import orjson
import psutil
import uvloop
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect as open_socket

from bench.append import CLIENTS, REQUEST, Bare, make_events, percentiles
from bench.wire import Connection, request
from lakefront.db.database import APPENDER_ROLE, connect
from lakefront.eventlog.events import NewEvent
from tests.process import ServerProcess

Row = tuple[str, str, str, str]

ROUNDS = 6
CONNECTIONS = 4
LIVE_RATE, LIVE_SECONDS = 1000, 8
DOOR = "/sf-permit-events"


def body(events: list[NewEvent]) -> bytes:
    """``events`` as a producer sends them."""
    return orjson.dumps(
        [
            {
                "eventId": event.event_id,
                "permitId": event.partition_key,
                "eventType": event.event_type,
                "timestamp": event.occurred_at,
                "eventData": orjson.Fragment(event.payload),
            }
            for event in events
        ]
    )


async def post_all(server: ServerProcess, requests: list[bytes], connections: int) -> tuple[float, list[float]]:
    """Seconds for all ``requests`` over so many connections, and each one's own."""
    queue = iter(requests)
    latencies: list[float] = []

    async def client(connection: Connection) -> None:
        for one in queue:
            started = time.perf_counter()
            status, answer = await connection.send(one)
            latencies.append(time.perf_counter() - started)
            assert status == 200, answer[:500]

    opened = [await Connection(server.url).__aenter__() for _ in range(connections)]
    started = time.perf_counter()
    await asyncio.gather(*(client(connection) for connection in opened))
    spent = time.perf_counter() - started
    for connection in opened:
        await connection.__aexit__(None, None, None)
    return spent, latencies


async def against_copy(server: ServerProcess, bare: Bare) -> list[Row]:
    """Rows/s of bodies of 1,000 events over 4 connections, and of COPY of the same rows over 1 and over 4."""
    token = server.token("service")
    spent = {"http": 0.0, "1": 0.0, "4": 0.0}
    rows = 0
    for number in range(ROUNDS + 1):
        batches = [[make_events(REQUEST) for _ in range(4 * CONNECTIONS)] for _ in spent]
        sent = [request(DOOR, token, body(events)) for events in batches[0]]
        seconds = {"http": (await post_all(server, sent, CONNECTIONS))[0]}
        await projected(server)
        seconds |= {"1": await bare.round(batches[1], 1), "4": await bare.round(batches[2], CONNECTIONS)}
        if number:
            rows += REQUEST * len(sent)
            spent = {name: spent[name] + seconds[name] for name in spent}
    what = f"HTTP, {CONNECTIONS} connections, {REQUEST:,} events a body"
    return [
        (
            what,
            f"{rows / spent['http']:,.0f}/s",
            f"COPY, the same four indexes, {name} connection(s): {rows / spent[name]:,.0f}/s",
            f"{spent[name] / spent['http']:.2f}",
        )
        for name in ("1", "4")
    ]


async def projected(server: ServerProcess) -> None:
    """Wait until the projection has caught up: its work belongs to no round's figures but its own."""
    connection = await asyncpg.connect(server.dsn)
    behind = (
        "SELECT coalesce(sum(h.next - coalesce(c.next, 0)), 0) FROM lakefront.heads h "
        "LEFT JOIN lakefront.consumer_offsets c USING (tenant_id, stream, shard) WHERE h.stream = 'sf-permit-events'"
    )
    while await connection.fetchval(behind):  # noqa: ASYNC110 - another process' progress
        await asyncio.sleep(0.05)
    await connection.close()


async def single_events(server: ServerProcess) -> Row:
    """64 clients that send one event at a time."""
    token = server.token("service")
    sent = [request(DOOR, token, body([event])) for event in make_events(CLIENTS * 60)]
    await post_all(server, sent[:CLIENTS], CLIENTS)
    spent, latencies = await post_all(server, sent[CLIENTS:], CLIENTS)
    low, high = percentiles(latencies)
    rate = f"{(len(sent) - CLIENTS) / spent:,.0f}/s"
    return f"HTTP, {CLIENTS} clients, single events", rate, f"p50 {low:.1f} ms", f"p99 {high:.1f} ms"


async def live(server: ServerProcess, more: str = "") -> Row:
    """From acknowledgement to a subscriber's socket, at 1,000 events/s in bodies of 10; ``more`` is selected, too."""
    token = server.token("service")
    acknowledged: dict[str, float] = {}
    seen: dict[str, float] = {}
    batches = [make_events(10) for _ in range(LIVE_RATE * LIVE_SECONDS // 10)]
    waiting: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(8):
        waiting.put_nowait(await Connection(server.url).__aenter__())

    async def send(events: list[NewEvent]) -> None:
        one = request(DOOR, token, body(events))
        connection = await waiting.get()
        status, answer = await connection.send(one)
        assert status == 200, answer
        now = time.perf_counter()
        acknowledged.update((event.event_id, now) for event in events)
        waiting.put_nowait(connection)

    async with subscriber(server, more) as socket:

        async def receive() -> None:
            while len(seen) < LIVE_RATE * LIVE_SECONDS:
                message = orjson.loads(await socket.recv())
                event = message["payload"]["data"]["permitEvents"]["event"]
                if event:
                    seen[event["eventId"]] = time.perf_counter()

        receiving = asyncio.create_task(receive())
        await asyncio.sleep(0.5)
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number, events in enumerate(batches):
                await asyncio.sleep(started + number * 10 / LIVE_RATE - time.perf_counter())
                group.create_task(send(events))
        await receiving
    low, high = percentiles([max(0.0, seen[key] - acknowledged[key]) for key in seen])
    what = f"acknowledged to subscriber, {LIVE_RATE:,} events/s"
    return what + (", with permit" if more else ""), "", f"p50 {low:.1f} ms", f"p99 {high:.1f} ms"


def subscriber(server: ServerProcess, more: str) -> Any:
    """A socket that follows all permit events from now on."""

    class Subscriber:
        async def __aenter__(self) -> Any:
            self.socket = await open_socket(server.ws_url, subprotocols=["graphql-transport-ws"])  # type: ignore[list-item]
            token = {"Authorization": f"Bearer {server.token('reader')}"}
            await self.socket.send(orjson.dumps({"type": "connection_init", "payload": token}).decode())
            await self.socket.recv()
            query = {"query": f"subscription {{ permitEvents {{ cursor event {{ eventId }}{more} }} }}"}
            await self.socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": query}).decode())
            return self.socket

        async def __aexit__(self, *_: object) -> None:
            await self.socket.close()

    return Subscriber()


async def memory(server: ServerProcess) -> Row:
    """The server's peak above idle while four bodies of nearly 25 MB arrive at once, twice."""
    assert server.pid is not None
    process = psutil.Process(server.pid)
    token = server.token("service")
    one = body(make_events(38_000))
    large = [request(DOOR, token, body(make_events(38_000))) for _ in range(8)]
    idle = peak = process.memory_info().rss

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    await post_all(server, large, CONNECTIONS)
    watching.cancel()
    above = (peak - idle) / 2**20
    size = f"{CONNECTIONS} at once, {len(one) / 2**20:.1f} MB each"
    return f"memory, {size}", f"{idle / 2**20:.0f} MB idle", f"{above:+.0f} MB at the peak", "goal < 200"


async def starts() -> list[Row]:
    """From the command to the first answered query, with a new data folder and with one that was used."""
    rows = []
    cold, warm = [], []
    for _ in range(3):
        server = ServerProcess()
        cold.append(await first_answer(server))
        await server.stop()
        warm.append(await first_answer(server))
        await server.close()
    for name, seconds, goal in (("cold", cold, 5), ("warm", warm, 2)):
        rows.append((f"{name} start to first answer", f"{statistics.median(seconds):.2f} s", "", f"goal {goal} s"))
    return rows


async def first_answer(server: ServerProcess) -> float:
    """Seconds until a query is answered."""
    started = time.perf_counter()
    await server.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{server.url}/graphql",
            json={"query": "{ permits(first: 1) { nodes { permitId } } }"},
            headers={"authorization": f"Bearer {server.token('reader')}"},
        )
    assert "data" in answer.json(), answer.text
    return time.perf_counter() - started


async def bare_copy(dsn: str) -> tuple[Bare, Any]:
    """A table with the columns and indexes of the log's, and connections that fill it."""
    owner = await asyncpg.connect(dsn)
    await owner.execute("CREATE SCHEMA bench; GRANT USAGE ON SCHEMA bench TO PUBLIC")
    bare = Bare([await connect(dsn, APPENDER_ROLE) for _ in range(CONNECTIONS)], keyed=True)
    await bare.create(owner)
    return bare, owner


async def main() -> None:
    """Measure all of it and print the table."""
    rows: list[Row] = []
    async with ServerProcess(environment={"LAKEFRONT_RATE_LIMITS": "off"}) as server:
        bare, owner = await bare_copy(server.dsn)
        rows += await against_copy(server, bare)
        rows.append(await single_events(server))
        rows.append(await live(server))
        rows.append(await live(server, " permit { permitId status }"))
        for connection in (owner, *bare.connections):
            await connection.close()
    async with ServerProcess(environment={"LAKEFRONT_RATE_LIMITS": "off"}) as server:
        rows.append(await memory(server))
    rows += await starts()
    table = Table("what", "here", "against", "ratio", title="The server from outside")
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)


if __name__ == "__main__":
    uvloop.run(main())
