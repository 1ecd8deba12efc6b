"""When a batch closes, what is in it, and where it goes."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from lakefront.actor import Actor, system_actor
from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.eventlog.lake.intents import Sizes, close_batch, object_key, read, unsealed
from lakefront.eventlog.lake.manifest import Place
from lakefront.eventlog.postgres import PostgresLog
from tests.eventlog.conftest import OpenLog
from tests.eventlog.lake.conftest import OpenSealer
from tests.eventlog.lake.lake import (
    NEVER,
    assert_all_is_sealed,
    intents,
    manifest,
    reach,
    running,
    sealed,
    unpacked,
    until,
)
from tests.eventlog.samples import ACTOR, STREAM, event, events, everything


async def test_a_batch_closes_at_its_size(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    sealer = await open_sealer(seal_interval=NEVER, seal_bytes=10_000)

    async def some() -> list[Any]:
        return await manifest(database)

    async with running(sealer):
        await log.append(ACTOR, STREAM, [event(f"{n}", "one key") for n in range(10)])
        await asyncio.sleep(0.3)
        assert not await some(), "it was neither old nor large"
        for start in range(10, 130, 30):
            await log.append(ACTOR, STREAM, [event(f"{start + n}", "one key") for n in range(30)])
            await asyncio.sleep(0.05)
        await until(lambda: reach(some, 3))
        await asyncio.sleep(0.2)
    rows = await some()
    found = await everything(log)
    assert sum(row["event_count"] for row in rows) < len(found) == 130
    for row in rows:
        raw = unpacked(store, row["key"])
        size = len(raw) // row["event_count"]
        assert 10_000 - 2 * size < len(raw) <= 10_000
    await sealer.seal_now()
    await assert_all_is_sealed(log, database, store)


async def test_an_event_over_the_limit_is_a_batch_of_its_own(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    large = b'{"a": "%s"}' % (b"x" * 5000)
    await log.append(ACTOR, STREAM, [event(f"{n}", "one key", payload=large) for n in range(3)])
    await (await open_sealer(seal_bytes=1024)).seal_now()
    assert [row["event_count"] for row in await manifest(database)] == [1, 1, 1]
    await assert_all_is_sealed(log, database, store)


async def test_a_batch_closes_when_its_oldest_event_is_old(
    log: PostgresLog, open_sealer: OpenSealer, database: Database
) -> None:
    async with running(await open_sealer(seal_interval=0.5)):
        await log.append(ACTOR, STREAM, [event("e", "one key")])
        await asyncio.sleep(0.2)
        await log.append(ACTOR, STREAM, [event("f", "one key")])
        await until(lambda: reach(lambda: manifest(database), 1))
    [row] = await manifest(database)
    assert row["event_count"] == 2
    async with database.transaction("city") as transaction:
        [(waited,)] = await transaction.fetch(
            "SELECT extract(epoch FROM sealed_at - opened_at)::float8 FROM lakefront.lake_objects"
        )
    assert 0.5 <= waited < 5


async def test_a_clock_that_was_ahead_delays_nothing_for_long(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, appender: Any
) -> None:
    await log.append(ACTOR, STREAM, [event("e", "one key")])
    await appender.execute("UPDATE lakefront.events SET ingested_at = now() + interval '1 hour'")
    async with running(await open_sealer(seal_interval=30)):
        await until(lambda: reach(lambda: manifest(database), 1), seconds=3)


async def test_clocks_a_little_apart_close_no_batch(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, appender: Any
) -> None:
    await log.append(ACTOR, STREAM, [event("e", "one key")])
    await appender.execute("UPDATE lakefront.events SET ingested_at = now() + interval '5 seconds'")
    async with running(await open_sealer(seal_interval=30)):
        await asyncio.sleep(0.3)
    assert not await manifest(database)


async def test_a_backlog_is_many_batches_one_after_another(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, events("e", 3000))
    async with running(await open_sealer(seal_interval=0.1, seal_bytes=50_000)):
        await until(lambda: reach(lambda: manifest(database), 18))
        await asyncio.sleep(0.3)
    await assert_all_is_sealed(log, database, store)
    assert len({row["key"] for row in await manifest(database)}) == len(await manifest(database))


def test_a_key_tells_the_hour_in_utc() -> None:
    opened = datetime(2024, 1, 15, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=-8)))
    moment = int(opened.timestamp())
    assert object_key("city", STREAM, opened, 7, "gzip") == (
        f"{STREAM}/year=2024/month=01/day=16/hour=07/batch-{moment}-007.json.gz"
    )
    assert object_key("acme", "orders", opened, 1234, "zstd") == (
        f"acme/orders/year=2024/month=01/day=16/hour=07/batch-{moment}-1234.json.zst"
    )


@pytest.mark.parametrize("name", ["", ".", "../up", "a\\b", "a\nb"])
def test_a_name_that_is_no_path_is_refused_before_anything_is_promised(name: str) -> None:
    with pytest.raises(ValueError, match="no object key"):
        object_key(name, STREAM, datetime.now(UTC), 1, "gzip")


async def test_shards_that_open_at_once_never_share_a_number(open_log: OpenLog, dsn: str, database: Database) -> None:
    log = await open_log(shards=lambda _: 16)
    await log.append(ACTOR, STREAM, events("e", 200), atomic=True)
    shards = await unsealed(database, "city")
    assert len(shards) == 16
    assert len({shard.opened_at for shard in shards}) == 1
    other = Database(dsn)
    await other.open()
    closed = await asyncio.gather(
        *(close_batch((database, other)[number % 2], shard, shard.until, "gzip") for number, shard in enumerate(shards))
    )
    await other.close()
    assert all(closed)
    rows = await intents(database)
    assert sorted(row["number"] for row in rows) == list(range(1, 17))
    assert len({row["key"] for row in rows}) == 16


async def test_a_batch_is_closed_once(log: PostgresLog, database: Database) -> None:
    await log.append(ACTOR, STREAM, [event("e", "one key"), event("f", "one key")])
    [shard] = await unsealed(database, "city")
    intent = await close_batch(database, shard, 1, "gzip")
    assert intent is not None
    assert await close_batch(database, shard, 2, "gzip") is None
    [again] = await unsealed(database, "city")
    assert again.intent == intent


async def test_what_fits_is_the_same_whatever_is_appended_meanwhile(log: PostgresLog, database: Database) -> None:
    await log.append(ACTOR, STREAM, [event(f"{n}", "one key") for n in range(1200)])
    [shard] = await unsealed(database, "city")
    everything_there = await read(database, shard.place, 0, 1200)
    for limit in (1, 300, 5000, len(everything_there) - 1, len(everything_there), len(everything_there) + 1):
        part = await read(database, shard.place, 0, 1200, limit=limit)
        assert everything_there.startswith(part)
        assert part.endswith(b"\n")
        following = everything_there[len(part) :].split(b"\n")[0]
        assert len(part) <= limit or part.count(b"\n") == 1
        assert part == everything_there or len(part) + len(following) + 1 > limit
        less = await read(database, shard.place, 0, 1199, limit=limit)
        assert less == part or limit >= len(everything_there)


async def test_a_hole_in_the_log_is_never_sealed_over(log: PostgresLog, database: Database, appender: Any) -> None:
    await log.append(ACTOR, STREAM, [event(f"{n}", "one key") for n in range(10)])
    await appender.execute('DELETE FROM lakefront.events WHERE "offset" = 5')
    [shard] = await unsealed(database, "city")
    with pytest.raises(Exception, match="not each of the events"):
        await read(database, shard.place, 0, 10)


async def test_sizes_are_measured_once(log: PostgresLog, database: Database) -> None:
    await log.append(ACTOR, STREAM, [event(f"{n}", "one key") for n in range(50)])
    [shard] = await unsealed(database, "city")
    size = len(await read(database, shard.place, 0, 50))
    sizes = Sizes(database)
    assert not await sizes.reach(shard, size)
    assert await sizes.reach(shard, size - 1)
    await log.append(ACTOR, STREAM, [event(f"{n}", "one key") for n in range(50, 60)])
    [shard] = await unsealed(database, "city")
    size = len(await read(database, shard.place, 0, 60))
    assert not await sizes.reach(shard, size)
    assert await sizes.reach(shard, size - 1)
    rest = shard._replace(start=40)
    size = len(await read(database, shard.place, 40, 60))
    assert not await sizes.reach(rest, size)
    assert await sizes.reach(rest, size - 1)


async def test_tenants_are_kept_apart(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    other: Actor = system_actor("acme")
    await log.append(ACTOR, STREAM, events("e", 20))
    await log.append(other, STREAM, events("e", 30))
    await (await open_sealer()).seal_now()
    assert len(await sealed(database, store)) == 20
    assert len(await sealed(database, store, "acme")) == 30
    assert all(row["key"].startswith(f"acme/{STREAM}/year=") for row in await manifest(database, "acme"))
    assert await unsealed(database, "acme", Place("acme", STREAM, 0)) == []
