"""The life of a server: what it took in is in the lake when it has ended."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest

from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.db.embedded import EmbeddedError
from lakefront.errors import Unavailable
from lakefront.eventlog.postgres import PostgresLog
from lakefront.server.lifespan import running
from lakefront.settings import Settings
from tests.eventlog.lake.lake import sealed
from tests.eventlog.samples import ACTOR, STREAM, events


async def test_what_was_acknowledged_is_sealed_at_the_end(
    dsn: str, database: Database, redis_url: str, tmp_path: Path
) -> None:
    """Also what is appended while the server ends, as long as it is acknowledged."""
    acknowledged: list[str] = []
    some = asyncio.Event()

    async def append(log: PostgresLog) -> None:
        for number in range(10_000):
            batch = events(f"{number}", 20)
            try:
                await log.append(ACTOR, STREAM, batch)
            except Unavailable:
                return
            acknowledged.extend(event.event_id for event in batch)
            if len(acknowledged) > 100:
                some.set()

    async with running(Settings(data=tmp_path, database_url=dsn, redis_url=redis_url)) as parts:
        log = parts.doors.services.log
        assert isinstance(log, PostgresLog)
        appending = asyncio.create_task(append(log))
        await asyncio.wait_for(some.wait(), 60)
    await asyncio.wait_for(appending, 10)
    found = await sealed(database, LocalStore(tmp_path / "objects"))
    assert {line["eventId"] for line in found} >= set(acknowledged)
    assert len(found) == len({line["eventId"] for line in found})


async def test_a_store_that_is_none_is_refused_at_the_start(dsn: str, redis_url: str, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database_url=dsn, redis_url=redis_url, object_store_url="ftp://somewhere")
    with pytest.raises(EmbeddedError, match="OBJECT_STORE_URL names no object store"):
        async with running(settings):
            pass


async def test_a_server_waits_for_a_postgresql_that_starts(
    dsn: str, redis_url: str, tmp_path: Path, short_folder: Path
) -> None:
    parts = urlsplit(dsn)
    options = dict(parse_qsl(parts.query))
    there, not_yet = Path(options["host"]), short_folder / "sockets"
    later = urlunsplit(parts._replace(query=urlencode({**options, "host": str(not_yet)})))

    async def start() -> None:
        await asyncio.sleep(1.5)
        not_yet.symlink_to(there)

    async with asyncio.TaskGroup() as group:
        group.create_task(start())
        async with running(Settings(data=tmp_path / "data", database_url=later, redis_url=redis_url)) as server:
            assert not_yet.exists()
            await server.doors.services.database.ping()
