"""Sealing beside bare gzip, catching up from the log and from the lake, followers while the sealer is at work.

``python -m bench.lake``: on an embedded PostgreSQL of its own and a local folder, in about three minutes.
"""

import asyncio
import gzip
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench.append import ACTOR, REQUEST, Row, follower_latency, make_events
from lakefront.actor import CITY
from lakefront.adapters.objects import LocalStore
from lakefront.db.database import PROVISIONER_ROLE, READING_THE_LOG, Database
from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.migrate import migrate
from lakefront.eventlog.backlog import Backlog
from lakefront.eventlog.lake.envelope import GZIP_LEVEL, Compression
from lakefront.eventlog.lake.history import History
from lakefront.eventlog.lake.sealer import Sealer
from lakefront.eventlog.postgres import PostgresLog
from lakefront.eventlog.postgres.trim import trim
from lakefront.settings import MIB, OneStream

EVENTS = 1_000_000
"""That a follower catches up with."""

SEALED = 100_000
"""That are sealed with each compression; gzip has all the others, too."""

PATIENCE = 600.0


class Work:
    """Wall and CPU seconds of this process and its children (PostgreSQL) between the enters and the exits."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        self._started, self._used = time.perf_counter(), _cpu()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._started
        self.cpu += _cpu() - self._used


def _cpu() -> float:
    me = psutil.Process()
    total = 0.0
    for process in (me, *me.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:  # a backend that ended meanwhile
            continue
        total += times.user + times.system
    return total


async def fill(log: PostgresLog, stream: str, count: int) -> None:
    """Append ``count`` events, four requests at a time."""
    for _ in range(count // (4 * REQUEST)):
        await asyncio.gather(*(log.append(ACTOR, stream, make_events(REQUEST)) for _ in range(4)))


@asynccontextmanager
async def sealer(database: Database, store: LocalStore, compression: Compression) -> AsyncIterator[Sealer]:
    """A sealer with the contract's limits that does what it is told, no more."""
    of_each = OneStream(shards=2, seal_interval=30, seal_bytes=25 * MIB, seal_compression=compression)
    provisioner = Database(database.dsn, pool_size=1, role=PROVISIONER_ROLE)
    await provisioner.open()
    made = Sealer(database, store, Backlog(provisioner), stream=lambda _: of_each, poll=1)
    try:
        yield made
    finally:
        await made.close()
        await provisioner.close()


async def sealing(log: PostgresLog, database: Database, store: LocalStore) -> list[Row]:
    """Events a second of one core, for each compression, against gzip alone of the same lines."""
    rows = []
    bare = Work()
    compressions: tuple[Compression, ...] = ("gzip", "zstd")
    for compression in compressions:
        stream = f"sealed-{compression}"
        await fill(log, stream, SEALED)
        work = Work()
        async with sealer(database, store, compression) as sealing:
            with work:
                await sealing.seal_now(PATIENCE)
        if compression == "gzip":
            objects = [store_file.read_bytes() for store_file in (store.folder / stream).rglob("*.gz")]
            lines = [gzip.decompress(data) for data in objects]
            with bare:
                for text in lines:
                    zlib.compress(text, GZIP_LEVEL)
        rows.append(
            (
                f"sealing, {compression}",
                f"{SEALED / work.cpu:,.0f}/s a core ({SEALED / work.wall:,.0f}/s)",
                f"gzip of the same lines: {SEALED / bare.cpu:,.0f}/s",
                f"{bare.cpu / work.cpu:.2f}",
            )
        )
    return rows


async def catch_up(log: PostgresLog, stream: str, upto: Mapping[int, int]) -> Work:
    """What a follower from the beginning costs until it has all."""
    work, seen = Work(), 0
    with work:
        async with log.follow(ACTOR, stream, {}) as follower:
            async for page in follower:
                seen += len(page.events)
                if seen == sum(upto.values()):
                    return work
    raise AssertionError("the follower ended")


async def catching_up(log: PostgresLog, database: Database, store: LocalStore) -> list[Row]:
    """A million events from the hot log, then, sealed and trimmed, from the objects."""
    stream = "history"
    await fill(log, stream, EVENTS)
    head = await log.head(ACTOR, stream)
    hot = await catch_up(log, stream, head)
    async with sealer(database, store, "gzip") as sealing:
        await sealing.seal_now(PATIENCE)
    await trim(log._connections, database, CITY, stream, head)
    cold = await catch_up(log, stream, head)
    return [
        (
            f"catching up with {EVENTS:,} events, from {name}",
            f"{EVENTS / work.wall:,.0f}/s",
            f"{EVENTS / work.cpu:,.0f}/s a core, PostgreSQL's work included",
            f"{hot.wall / work.wall:.2f}",
        )
        for name, work in (("the log", hot), ("the objects", cold))
    ]


async def main() -> None:
    """Measure all of it and print the table."""
    with tempfile.TemporaryDirectory(prefix="lf-") as name:
        folder = Path(name)
        server = EmbeddedPostgres(folder / "postgres")
        await server.start()
        try:
            rows = await measure(server.dsn(), folder)
        finally:
            await server.stop()
    table = Table("what", "here", "against", "ratio", title="The lake")
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)


async def measure(dsn: str, folder: Path) -> list[Row]:
    """All rows of the table."""
    await migrate(dsn)
    database = Database(dsn, pool_size=4, planner=READING_THE_LOG)
    await database.open()
    store = LocalStore(folder / "objects")
    await store.open()
    log = PostgresLog(dsn, history=History(database, store))
    await log.open()
    try:
        rows = await sealing(log, database, store)
        rows += await catching_up(log, database, store)
        async with sealer(database, store, "gzip") as at_work:
            running = asyncio.create_task(at_work.run())
            rows.append(await follower_latency(log, log, "while the sealer runs"))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    finally:
        await log.close()
        await store.close()
        await database.close()
    return rows


if __name__ == "__main__":
    uvloop.run(main())
