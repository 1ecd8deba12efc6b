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
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
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
from lakefront.eventlog.postgres.rows import EVENT_COLUMNS, prepare

ACTOR = system_actor()
REQUEST = 1000  # events
ROUNDS = 6
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


class Bare:
    """COPY into a table of its own, and nothing else: no look-up, no numbering, no verdicts.

    ``keyed``: with the key's two columns and its unique index, that is, all that the log stores and its four indexes;
    otherwise the columns and the three indexes of ``events`` alone.
    """

    def __init__(self, connections: list["asyncpg.Connection[Any]"], *, keyed: bool = False) -> None:
        self.name = "keyed" if keyed else "bare"
        self.connections = connections
        self._keyed = keyed
        self._heads = {0: 0, 1: 0}

    async def create(self, owner: "asyncpg.Connection[Any]") -> None:
        """Make the table."""
        table = f"bench.{self.name}"
        await owner.execute(f"CREATE TABLE {table} (LIKE lakefront.events INCLUDING ALL)")
        if self._keyed:
            await owner.execute(f"ALTER TABLE {table} ADD dedupe uuid NOT NULL UNIQUE, ADD body uuid NOT NULL")
        await owner.execute(f"ALTER TABLE {table} OWNER TO {APPENDER_ROLE}")

    async def round(self, requests: list[list[NewEvent]], writers: int) -> float:
        """Seconds that ``writers`` need for ``requests``."""
        queue = iter([[self._row(event) for event in events] for events in requests])
        columns = (*EVENT_COLUMNS, "dedupe", "body") if self._keyed else EVENT_COLUMNS

        async def write(connection: "asyncpg.Connection[Any]") -> None:
            for rows in queue:
                await connection.copy_records_to_table(self.name, schema_name="bench", columns=columns, records=rows)

        return await timed(*(write(connection) for connection in self.connections[:writers]))

    def _row(self, event: NewEvent) -> tuple[Any, ...]:
        """The row that the log would write, made before the time runs."""
        shard = crc32(event.partition_key.encode()) % len(self._heads)
        place = ("city", "bench", datetime.now(UTC), shard, self._heads[shard])
        self._heads[shard] += 1
        kind = (event.event_id, event.event_type, event.partition_key, event.occurred_at)
        rest = (event.payload, event.trace_id, event.correlation_id, event.schema_version, event.source)
        [ready] = prepare("city", "bench", [event])
        key = (UUID(bytes=ready.dedupe), UUID(bytes=ready.body())) if self._keyed else ()
        return (*place, *kind, *rest, *key)


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


async def against_copy(log: PostgresLog, bares: Sequence[Bare], writers: int) -> list[Row]:
    """Rows/s of the log and of each COPY, and their ratio."""
    spent = {"log": 0.0} | {bare.name: 0.0 for bare in bares}
    rows = 0
    for number in range(ROUNDS + 1):
        requests = [make_events(REQUEST) for _ in range(4 * max(2, writers))]
        sides: dict[str, Callable[[], Awaitable[float]]] = {"log": partial(log_round, log, requests, writers)}
        sides |= {bare.name: partial(bare.round, requests, writers) for bare in bares}
        for name, run in sorted(sides.items(), reverse=bool(number % 2)):
            seconds = await run()
            spent[name] += seconds if number else 0  # the first round warms all
        rows += REQUEST * len(requests) if number else 0
    what = f"append, {writers} writer(s), {REQUEST:,} events a request"
    told = {"keyed": "COPY, the same four indexes", "bare": "COPY, without the key and its index"}
    return [
        (
            what,
            f"{rows / spent['log']:,.0f}/s",
            f"{told[bare.name]}: {rows / spent[bare.name]:,.0f}/s",
            f"{spent[bare.name] / spent['log']:.2f}",
        )
        for bare in bares
    ]


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
    Console(width=140).print(table)


async def measure(dsn: str) -> list[Row]:
    """All rows of the table."""
    await migrate(dsn)
    owner = await asyncpg.connect(dsn)
    await owner.execute("CREATE SCHEMA bench; GRANT USAGE ON SCHEMA bench TO PUBLIC")
    connections = [await connect(dsn, APPENDER_ROLE) for _ in range(4)]
    bares = [Bare(connections, keyed=keyed) for keyed in (True, False)]
    for bare in bares:
        await bare.create(owner)
    listener = Listener(dsn)
    log, other = PostgresLog(dsn), PostgresLog(dsn, listener=listener)
    alone = [PostgresLog(dsn, group_rows=1) for _ in range(4)]
    logs = [log, other, *alone]
    await listener.open()
    for opened in logs:
        await opened.open()
    try:
        rows = [row for writers in (1, 4) for row in await against_copy(log, bares, writers)]
        rows += await single_events(log, alone)
        rows.append(await follower_latency(log, log, "same process"))
        rows.append(await follower_latency(log, other, "through NOTIFY"))
    finally:
        for opened in logs:
            await opened.close()
        await listener.close()
        for connection in (owner, *connections):
            await connection.close()
    return rows


if __name__ == "__main__":
    uvloop.run(main())  # as the server does
