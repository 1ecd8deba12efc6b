"""Every event is in the lake once, whatever is killed between two steps."""

import asyncio
import gzip
import random

import pytest

from lakefront.adapters.objects import LocalStore
from lakefront.db.database import APP_ROLE, Database, connect
from lakefront.eventlog.lake.envelope import LAYOUTS, decode, pack
from lakefront.eventlog.lake.manifest import CHANNEL
from lakefront.eventlog.lake.sealer import AT_ONCE, Sealer
from lakefront.eventlog.postgres import PostgresLog
from tests.eventlog.conftest import OpenLog
from tests.eventlog.lake.conftest import OpenSealer
from tests.eventlog.lake.faulty import FaultyStore
from tests.eventlog.lake.lake import (
    NEVER,
    assert_all_is_sealed,
    change,
    intents,
    manifest,
    reach,
    running,
    sealed,
    unpacked,
    until,
)
from tests.eventlog.samples import ACTOR, STREAM, event, events, everything


async def test_all_that_is_there_is_sealed_once(
    log: PostgresLog, sealer: Sealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, events("e", 1200))
    await sealer.seal_now()
    await assert_all_is_sealed(log, database, store)
    rows = await manifest(database)
    assert [row["shard"] for row in rows] == [0, 1]
    await sealer.seal_now()
    assert await manifest(database) == rows


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_while_the_object_is_written(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore, moment: str
) -> None:
    await log.append(ACTOR, STREAM, events("e", 100))
    faulty = FaultyStore(store.folder)
    faulty.fails = moment
    await (await open_sealer(at=faulty)).seal_now()
    promised = await intents(database)
    assert len(promised) == 2
    assert await manifest(database) == []
    written = {path: path.read_bytes() for path in store.folder.rglob("batch-*")}
    assert len(written) == (2 if moment == "after" else 0)

    await log.append(ACTOR, STREAM, events("later", 100))
    await (await open_sealer()).seal_now()
    await assert_all_is_sealed(log, database, store)
    rows = await manifest(database)
    assert [row["until_offset"] for row in rows if row["from_offset"] == 0] == [i["until_offset"] for i in promised]
    assert {row["key"] for row in rows} >= {intent["key"] for intent in promised}
    assert all(path.read_bytes() == data for path, data in written.items())


async def test_killed_while_the_manifest_is_written(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, events("e", 100))
    await (await open_sealer()).seal_now()
    await log.append(ACTOR, STREAM, events("later", 100))
    async with database.transaction("city") as transaction:
        # Whoever moves an offset waits for this lock, its row of the manifest not yet written.
        await transaction.fetch("SELECT 1 FROM lakefront.consumer_offsets WHERE tenant_id = 'city' FOR UPDATE")
        await (await open_sealer()).seal_now(patience=0.7)
    assert len(await intents(database)) == 4
    assert len(await manifest(database)) == 2
    await (await open_sealer()).seal_now()
    await assert_all_is_sealed(log, database, store)
    assert len(await manifest(database)) == 4


async def test_the_same_intent_gives_the_same_bytes(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, events("e", 700))
    faulty = FaultyStore(store.folder)
    faulty.fails = "after"
    await (await open_sealer(at=faulty)).seal_now()
    first = {path: path.read_bytes() for path in store.folder.rglob("batch-*")}
    for path in first:
        path.unlink()
    await (await open_sealer()).seal_now()
    assert {path: path.read_bytes() for path in store.folder.rglob("batch-*")} == first


async def test_several_sealers_that_are_killed_all_the_time(
    dsn: str, log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    """Cancelled anywhere, and with their locks taken away, so that two are at the same shard."""
    chance = random.Random(7)

    async def life() -> None:
        for _ in range(12):
            sealer = await open_sealer(seal_interval=0.01, seal_bytes=8192, poll=0.005)
            async with running(sealer):
                await asyncio.sleep(chance.uniform(0.02, 0.25))
            await sealer.close()

    async def steal() -> None:
        thief = await connect(dsn, "postgres")
        for _ in range(20):
            await asyncio.sleep(chance.uniform(0.01, 0.15))
            await thief.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        await thief.close()

    async def write() -> None:
        for number in range(15):
            await log.append(ACTOR, STREAM, events(f"w{number}", 60))
            await asyncio.sleep(chance.uniform(0, 0.1))

    await log.append(ACTOR, STREAM, events("first", 10))
    async with asyncio.TaskGroup() as group:
        for work in (life, life, life, write, steal):
            group.create_task(work())
    await (await open_sealer()).seal_now()
    await assert_all_is_sealed(log, database, store)
    assert len(await manifest(database)) > 2, "some were sealed amid the kills, however busy the machine is"


async def test_another_takes_over_when_a_connection_dies(
    dsn: str, log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, [event("e", "one key")])
    slow = FaultyStore(store.folder)
    slow.hold.clear()
    first = await open_sealer(at=slow, seal_interval=0.01)
    second = await open_sealer(seal_interval=0.01)

    async def holds() -> bool:
        return bool(slow.puts)

    async def done() -> bool:
        return bool(await manifest(database))

    async with running(first):
        await until(holds)
        async with running(second):
            await asyncio.sleep(0.3)
            assert not await done(), "two sealers at one shard"
            await first.close()
            await until(done)
            rows = await manifest(database)
            slow.hold.set()
            await asyncio.sleep(0.3)
    assert await manifest(database) == rows, "what was sealed meanwhile was entered again"
    await assert_all_is_sealed(log, database, store)


async def test_a_stream_may_have_settings_of_its_own(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, [event("e", "one key")])
    await (await open_sealer(streams={STREAM: {"seal_compression": "zstd"}})).seal_now()
    [row] = await manifest(database)
    assert row["key"].endswith(".json.zst")
    assert row["compression"] == "zstd"
    await assert_all_is_sealed(log, database, store)


async def test_a_change_of_compression_leaves_an_intent_as_it_is(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, [event("e", "one key")])
    faulty = FaultyStore(store.folder)
    faulty.fails = "before"
    await (await open_sealer(at=faulty)).seal_now()
    await (await open_sealer(seal_compression="zstd")).seal_now()
    [row] = await manifest(database)
    assert row["compression"] == "gzip"
    await assert_all_is_sealed(log, database, store)


async def test_a_batch_keeps_the_layout_of_the_release_that_closed_it(
    log: PostgresLog,
    open_sealer: OpenSealer,
    database: Database,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await log.append(ACTOR, STREAM, [event("e", "one key")])
    faulty = FaultyStore(store.folder)
    faulty.fails = "before"
    await (await open_sealer(at=faulty)).seal_now()
    await change(database, "UPDATE lakefront.seal_intents SET layout = 2")
    monkeypatch.setitem(LAYOUTS, 2, LAYOUTS[1] + ", source AS other")
    await log.append(ACTOR, STREAM, [event("f", "one key")])
    await (await open_sealer()).seal_now()
    assert [intent["layout"] for intent in await intents(database)] == [2, 1]
    assert ["other" in line for line in await sealed(database, store)] == [True, False]


async def test_a_layout_of_a_newer_release_waits_for_it(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    await log.append(ACTOR, STREAM, [event("e", "one key")])
    faulty = FaultyStore(store.folder)
    faulty.fails = "before"
    await (await open_sealer(at=faulty)).seal_now()
    await change(database, "UPDATE lakefront.seal_intents SET layout = 9")
    await (await open_sealer()).seal_now()
    assert "layout 9, which a newer release began" in caplog.text
    assert not await manifest(database)


async def test_appends_go_first_but_never_starve_it(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, events("e", 1000))
    async with running(await open_sealer(seal_interval=0.01, seal_bytes=30_000, busy=lambda: True)):
        await until(lambda: reach(lambda: manifest(database), 10))
    assert await sealed(database, store)


async def test_a_store_that_is_away_is_waited_for(
    log: PostgresLog,
    open_sealer: OpenSealer,
    database: Database,
    store: LocalStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await log.append(ACTOR, STREAM, events("e", 50))
    faulty = FaultyStore(store.folder)
    faulty.fails = "before"
    async with running(await open_sealer(at=faulty, seal_interval=0.01)):
        await asyncio.sleep(0.6)
        assert 4 <= len(faulty.puts) < 20, "it was asked again, ever more slowly"
        assert len(set(faulty.puts)) == 2
        faulty.fails = None
        await until(lambda: reach(lambda: manifest(database), 2))
    assert "waits: The store is away." in caplog.text
    await assert_all_is_sealed(log, database, store)


async def test_a_shard_whose_object_is_slow_holds_up_no_other(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    class SlowForOne(FaultyStore):
        async def put(self, key: str, data: bytes) -> bool:
            self.hold.clear() if not self.puts else self.hold.set()
            if not self.puts:
                self.puts.append(key)
                await asyncio.sleep(NEVER)
            return await super().put(key, data)

    await log.append(ACTOR, STREAM, events("e", 50))
    async with running(await open_sealer(at=SlowForOne(store.folder), seal_interval=0.01)):
        await until(lambda: reach(lambda: manifest(database), 1))


async def test_a_slow_store_fills_no_memory_with_batches(
    open_log: OpenLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    log = await open_log(shards=lambda _: 16)
    await log.append(ACTOR, STREAM, events("e", 400))
    slow = FaultyStore(store.folder)
    slow.hold.clear()
    async with running(await open_sealer(at=slow, seal_interval=0.01)):
        await until(lambda: reach(lambda: intents(database), AT_ONCE))
        await asyncio.sleep(0.3)
        assert len(slow.puts) == len(await intents(database)) == AT_ONCE
        slow.hold.set()
        await until(lambda: reach(lambda: manifest(database), 16))
    await assert_all_is_sealed(log, database, store)


async def test_a_foreign_object_stands_in_the_way(
    log: PostgresLog,
    open_sealer: OpenSealer,
    database: Database,
    store: LocalStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await log.append(ACTOR, STREAM, events("e", 50))
    faulty = FaultyStore(store.folder)
    faulty.fails = "before"
    await (await open_sealer(at=faulty)).seal_now()
    first, _ = await intents(database)
    await store.put(first["key"], b"something else")
    sealer = await open_sealer()
    await sealer.seal_now()
    assert [row["shard"] for row in await manifest(database)] == [1]
    assert "stands still" in caplog.text
    assert first["key"] in caplog.text
    (store.folder / first["key"]).unlink()
    await sealer.seal_now()
    await assert_all_is_sealed(log, database, store)


async def test_the_same_lines_packed_by_another_version_are_taken(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, [event(f"{n}", "one key") for n in range(50)])
    faulty = FaultyStore(store.folder)
    faulty.fails = "after"
    await (await open_sealer(at=faulty)).seal_now()
    [intent] = await intents(database)
    raw = unpacked(store, intent["key"])
    (store.folder / intent["key"]).unlink()
    other = gzip.compress(raw, 1)
    assert other != pack(raw, "gzip").data
    await store.put(intent["key"], other)
    await (await open_sealer()).seal_now()
    await assert_all_is_sealed(log, database, store)


HOSTILE = [
    '{"text": "\u2028\u2029\u0085 \\u0001 \\\\ \\" \\n\\r\\t 🦀 é"}',
    '{"\u2028key\\n": [[[[{"a": [null, true, false]}]]]]}',
    '{"big": 18446744073709551615, "bigger": 123456789012345678901234567890, "negative": -9223372036854775808}',
    '{"floats": [1e300, 1.7976931348623157e308, 5e-324, 0.1, -0.0, 1.10]}',
    '{"empty": "", "nothing": {}, "": []}',
]


async def test_hostile_payloads_come_back_as_the_log_has_them(
    log: PostgresLog, sealer: Sealer, database: Database, store: LocalStore
) -> None:
    odd = "id \u2028\n\"'\\ 🦀"
    await log.append(ACTOR, STREAM, [event(f"{odd}{n}", odd, payload=text.encode()) for n, text in enumerate(HOSTILE)])
    await sealer.seal_now()
    [row] = await manifest(database)
    found = [decode(line) for line in unpacked(store, row["key"]).split(b"\n")[:-1]]
    assert found == await everything(log)
    assert b"123456789012345678901234567890" in unpacked(store, row["key"]), "not a digit is lost"


async def test_each_object_is_told(dsn: str, log: PostgresLog, sealer: Sealer) -> None:
    listening = await connect(dsn, APP_ROLE)
    told: list[object] = []
    await listening.add_listener(CHANNEL, lambda *notice: told.append(notice[-1]))
    await log.append(ACTOR, STREAM, events("e", 50))
    await sealer.seal_now()
    async with asyncio.timeout(5):
        while len(told) < 2:  # noqa: ASYNC110 - the driver only calls back
            await asyncio.sleep(0.01)
    assert told == [f"city|{STREAM}"] * 2
    await listening.close()


async def test_what_cannot_be_sealed_in_time_is_left(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    await log.append(ACTOR, STREAM, events("e", 50))
    slow = FaultyStore(store.folder)
    slow.hold.clear()
    await (await open_sealer(at=slow)).seal_now(patience=0.5)
    assert "the next start goes on with it" in caplog.text
    assert await manifest(database) == []
