"""What the lake holds, looked at without the code that wrote it."""

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import zstandard

from lakefront.actor import CITY
from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.db.tables.lake import lake_objects, seal_intents
from lakefront.eventlog.lake.sealer import Sealer
from lakefront.eventlog.postgres import PostgresLog
from tests.eventlog.samples import everything

Row = dict[str, Any]


async def manifest(database: Database, tenant: str = CITY) -> list[Row]:
    return await database.rows(tenant, lake_objects.select().order_by(*lake_objects.primary_key.columns))


async def intents(database: Database, tenant: str = CITY) -> list[Row]:
    return await database.rows(tenant, seal_intents.select().order_by(*seal_intents.primary_key.columns))


async def change(database: Database, statement: str, *values: object) -> None:
    """Change what the application itself may not, as superuser."""
    connection = await asyncpg.connect(database.dsn)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


def unpacked(store: LocalStore, key: str) -> bytes:
    data = (store.folder / key).read_bytes()
    return gzip.decompress(data) if key.endswith(".gz") else zstandard.ZstdDecompressor().decompress(data)


def lines(store: LocalStore, key: str) -> list[Row]:
    return [json.loads(line) for line in unpacked(store, key).decode().split("\n")[:-1]]


async def sealed(database: Database, store: LocalStore, tenant: str = CITY) -> list[Row]:
    """All lines of the lake in the order of the manifest, once it was held against the files: no gap, no double."""
    found: list[Row] = []
    ends: dict[Any, int] = {}
    rows = await manifest(database, tenant)
    for row in rows:
        place = row["stream"], row["shard"]
        assert row["from_offset"] == ends.get(place, 0), "a gap between objects"
        ends[place] = row["until_offset"]
        data = (store.folder / row["key"]).read_bytes()
        raw = unpacked(store, row["key"])
        part = lines(store, row["key"])
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert (row["stored_bytes"], row["raw_bytes"]) == (len(data), len(raw))
        assert row["event_count"] == len(part)
        assert [line["offset"] for line in part] == list(range(row["from_offset"], row["until_offset"]))
        assert {line["shard"] for line in part} == {row["shard"]}
        found += part
    files = {str(path.relative_to(store.folder)) for path in store.folder.rglob("batch-*")}
    assert {row["key"] for row in rows} <= files
    return found


NEVER = 3600.0


@asynccontextmanager
async def running(*sealers: Sealer) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(sealer.run()) for sealer in sealers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - it asks another process
            await asyncio.sleep(0.02)


async def reach(rows: Callable[[], Awaitable[list[Any]]], count: int) -> bool:
    return len(await rows()) >= count


async def assert_all_is_sealed(log: PostgresLog, database: Database, store: LocalStore) -> None:
    found = await sealed(database, store)
    places = [(line["shard"], line["offset"], line["eventId"]) for line in found]
    assert sorted(places) == sorted((each.shard, each.offset, each.event_id) for each in await everything(log))
