"""The log's appends against a bare COPY, group commit against one transaction each, and how soon a follower knows.

``python -m bench.append``: on an embedded PostgreSQL of its own, in about a minute. Rounds of both sides alternate, so
that a busy machine slows both.
"""

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import asyncpg
import orjson
import uvloop
from rich.console import Console
from rich.table import Table

from lakefront.actor import system_actor
from lakefront.db.database import APPENDER_ROLE, connect
from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.listener import Listener
from lakefront.db.migrate import migrate
from lakefront.eventlog.events import NewEvent
from lakefront.eventlog.postgres import PostgresLog
from lakefront.eventlog.postgres.append import EVENT_COLUMNS

ACTOR = system_actor()
REQUEST = 1000  # events
ROUNDS = 8
CLIENTS = 64
LATENCY_RATE, LATENCY_SECONDS = 1000, 8

Row = tuple[str, str, str, str]


def make_events(count: int) -> list[NewEvent]:
    """New events of the size of real permits' (about 500 bytes of payload)."""
    start = datetime(2024, 1, 15, tzinfo=UTC)
    made = []
    for number in range(count):
        permit = f"2024{uuid4().int % 10**8:08d}"
        payload = {
            "description": "reroofing; replace two windows at the rear, not visible from the street",
            "estimatedCost": number * 7 % 90_000,
            "existingUse": "1 family dwelling",
            "filedAt": "2024-01-15T08:00:00+00:00",
            "neighborhood": "Mission",
            "permitId": permit,
            "status": "filed",
            "type": "otc alterations permit",
            "addresses": [{"addressId": permit, "block": "3601", "lot": "012", "streetName": "Guerrero"}],
        }  # fmt: skip
        when = start + timedelta(seconds=number)
        text = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
        made.append(NewEvent(f"{permit}-{uuid4()}", "permit_filed", permit, when, text, "bench"))
    return made


def as_rows(events: Sequence[NewEvent], heads: dict[int, int]) -> list[tuple[Any, ...]]:
    """``events`` as the rows that the log would write, so that both sides write the same."""
    now = datetime.now(UTC)
    rows = []
    for event in events:
        shard = crc32(event.partition_key.encode()) % len(heads)
        place = ("city", "bare", shard, heads[shard])
        kind = (event.event_id, event.event_type, event.partition_key, event.occurred_at, now, event.payload)
        rows.append((*place, *kind, event.trace_id, event.correlation_id, event.schema_version, event.source))
        heads[shard] += 1
    return rows


class Bare:
    """COPY into a table with the same columns and indexes, and nothing else."""

    def __init__(self, connections: list["asyncpg.Connection[Any]"]) -> None:
        self.connections = connections
        self.heads = {0: 0, 1: 0}

    async def round(self, requests: list[list[NewEvent]], writers: int) -> float:
        """Seconds that ``writers`` need for ``requests``."""
        queue = iter([as_rows(events, self.heads) for events in requests])

        async def write(connection: "asyncpg.Connection[Any]") -> None:
            for records in queue:
                await connection.copy_records_to_table(
                    "bare", schema_name="bench", columns=EVENT_COLUMNS, records=records
                )

        return await timed(*(write(connection) for connection in self.connections[:writers]))


async def log_round(log: PostgresLog, requests: list[list[NewEvent]], writers: int) -> float:
    """Seconds that ``writers`` need to append ``requests``."""
    queue = iter(requests)

    async def write() -> None:
        for events in queue:
            await log.append(ACTOR, "bench", events)

    return await timed(*(write() for _ in range(writers)))


async def timed(*work: Awaitable[None]) -> float:
    """Seconds until all of ``work`` is done."""
    gc.collect()
    gc.freeze()  # what the bench keeps ready for later rounds is not the log's to walk
    started = time.perf_counter()
    await asyncio.gather(*work)
    return time.perf_counter() - started


async def against_copy(log: PostgresLog, bare: Bare, writers: int) -> Row:
    """Rows/s of both and their ratio."""
    spent = {"bare": 0.0, "log": 0.0}
    rows = 0
    for number in range(ROUNDS + 1):
        requests = [make_events(REQUEST) for _ in range(4 * max(2, writers))]
        sides: list[tuple[str, Callable[[], Awaitable[float]]]] = [
            ("bare", lambda: bare.round(requests, writers)),  # noqa: B023 - runs before the next round
            ("log", lambda: log_round(log, requests, writers)),  # noqa: B023
        ]
        for name, run in sides if number % 2 else reversed(sides):
            seconds = await run()
            spent[name] += seconds if number else 0  # the first round warms both
        rows += REQUEST * len(requests) if number else 0
    ratio = spent["bare"] / spent["log"]
    mine, theirs = rows / spent["log"], rows / spent["bare"]
    return (
        f"append, {writers} writer(s), {REQUEST:,} events a request",
        f"{mine:,.0f}/s",
        f"bare COPY {theirs:,.0f}/s",
        f"{ratio:.2f}",
    )


async def single_events(log: PostgresLog, alone: Sequence[PostgresLog]) -> list[Row]:
    """64 clients that send one event at a time: sharing transactions, and each with a transaction of its own."""
    latencies: list[float] = []

    async def client(append: PostgresLog, events: list[NewEvent], kept: list[float]) -> None:
        for event in events:
            started = time.perf_counter()
            await append.append(ACTOR, "single", [event])
            kept.append(time.perf_counter() - started)

    async def rate(logs: Sequence[PostgresLog], each: int, kept: list[float]) -> float:
        work = [client(logs[number % len(logs)], make_events(each), kept) for number in range(CLIENTS)]
        return CLIENTS * each / await timed(*work)

    await rate([log], 5, [])
    grouped, own = [], []
    for _ in range(3):
        grouped.append(await rate([log], 60, latencies))
        own.append(await rate(alone, 6, []))
    mine, theirs = statistics.median(grouped), statistics.median(own)
    ratio, against = f"{mine / theirs:.1f}", f"a transaction each {theirs:,.0f}/s"
    low, high = percentiles(latencies)
    return [
        (f"{CLIENTS} clients, single events", f"{mine:,.0f}/s", against, ratio),
        ("their acknowledgement", f"p50 {low:.1f} ms", f"p99 {high:.1f} ms", ""),
    ]  # fmt: skip


async def follower_latency(writer: PostgresLog, reader: PostgresLog, name: str) -> Row:
    """From acknowledgement to a follower of ``reader``, at 1,000 events/s in requests of 10."""
    acknowledged: dict[str, float] = {}
    seen: dict[str, float] = {}
    total = LATENCY_RATE * LATENCY_SECONDS
    requests = [make_events(10) for _ in range(total // 10)]

    async def append(events: list[NewEvent]) -> None:
        await writer.append(ACTOR, "live", events)
        now = time.perf_counter()
        acknowledged.update((event.event_id, now) for event in events)

    async def follow(ready: asyncio.Event) -> None:
        async with reader.follow(ACTOR, "live", None, heartbeat=0.1) as follower:
            async for page in follower:
                now = time.perf_counter()
                seen.update((event.event_id, now) for event in page.events)
                ready.set()
                if len(seen) == total:
                    return

    ready = asyncio.Event()
    following = asyncio.create_task(follow(ready))
    await ready.wait()
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, events in enumerate(requests):
            await asyncio.sleep(started + number * 10 / LATENCY_RATE - time.perf_counter())
            group.create_task(append(events))
    await following
    low, high = percentiles([max(0.0, seen[key] - acknowledged[key]) for key in seen])
    return f"acknowledged to follower, {name}", f"p50 {low:.1f} ms", f"p99 {high:.1f} ms", ""


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """The 50th and the 99th percentile, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return cuts[49] * 1000, cuts[98] * 1000


async def main() -> None:
    """Measure all of it and print the table."""
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        await server.start()
        try:
            rows = await measure(server.dsn())
        finally:
            await server.stop()
    table = Table("what", "here", "against", "ratio", title="The log")
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)


async def measure(dsn: str) -> list[Row]:
    """All rows of the table."""
    await migrate(dsn)
    owner = await asyncpg.connect(dsn)
    await owner.execute("CREATE SCHEMA bench; CREATE TABLE bench.bare (LIKE lakefront.events INCLUDING ALL)")
    await owner.execute(f"ALTER TABLE bench.bare OWNER TO {APPENDER_ROLE}; GRANT USAGE ON SCHEMA bench TO PUBLIC")
    listener = Listener(dsn)
    log, other = PostgresLog(dsn, group_rows=5000), PostgresLog(dsn, listener=listener)
    alone = [PostgresLog(dsn, group_rows=1) for _ in range(4)]
    logs = [log, other, *alone]
    bare = Bare([await connect(dsn, APPENDER_ROLE) for _ in range(4)])
    await listener.open()
    for opened in logs:
        await opened.open()
    try:
        rows = [await against_copy(log, bare, writers) for writers in (1, 4)]
        rows += await single_events(log, alone)
        rows.append(await follower_latency(log, log, "same process"))
        rows.append(await follower_latency(log, other, "through NOTIFY"))
    finally:
        for opened in logs:
            await opened.close()
        await listener.close()
        for connection in (owner, *bare.connections):
            await connection.close()
    return rows


if __name__ == "__main__":
    uvloop.run(main())  # as the server does
