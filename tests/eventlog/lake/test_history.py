"""Followers and readers across the border between hot log and lake: the same events, in the same order, once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.errors import CursorExpired, InternalError, Unavailable, ValidationError
from lakefront.eventlog.cursors import decode
from lakefront.eventlog.events import Event, Page
from lakefront.eventlog.lake import history as history_module
from lakefront.eventlog.lake import unpack
from lakefront.eventlog.lake.envelope import Compression
from lakefront.eventlog.lake.history import History
from lakefront.eventlog.postgres import PostgresLog
from tests.eventlog.conftest import OpenLog
from tests.eventlog.lake.sealing import seal, seal_all
from tests.eventlog.postgres.test_follow import collect, flat
from tests.eventlog.samples import ACTOR, STREAM, assert_gapless, event, events, everything


@pytest.fixture
def history(database: Database, store: LocalStore) -> History:
    return History(database, store)


async def filled(log: PostgresLog, requests: int = 20, each: int = 15) -> list[Event]:
    """Everything of a log with a few requests' events, whose times follow each other."""
    for number in range(requests):
        await log.append(ACTOR, STREAM, events(f"e{number}", each))
    return await everything(log)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_what_was_sealed_and_trimmed_is_read_as_it_was(
    open_log: OpenLog, database: Database, store: LocalStore, history: History, compression: Compression
) -> None:
    log = await open_log(history=history)
    odd = {"text": "ünï\u2028\n", "price": 1.10, "big": 12345678901234567890123, "none": None, "list": [1, {"a": []}]}
    await log.append(ACTOR, STREAM, [event("odd", payload=json.dumps(odd).encode(), correlation_id="c", source="s")])
    before = await filled(log)
    await seal_all(database, store, count=37, compression=compression)
    head = await log.head(ACTOR, STREAM)
    assert await log.trim(ACTOR, STREAM, head) == len(before)
    assert await everything(log) == before
    for limit in (1, 7, 100, 10_000):
        assert await everything(log, limit=limit) == before
    async with database.transaction("city") as transaction:
        [(left,)] = await transaction.fetch("SELECT count(*) FROM lakefront.events")
    assert left == 0


@pytest.fixture
async def sealed(
    open_log: OpenLog, database: Database, store: LocalStore, history: History
) -> tuple[PostgresLog, list[Event]]:
    """A log of 300 events, all of them sealed, too; and the events."""
    log = await open_log(history=history)
    whole = await filled(log)
    await seal_all(database, store, count=23)
    return log, whole


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limits=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    start=st.integers(0, 300),
    more=st.tuples(st.integers(0, 8), st.integers(0, 8)),
)
async def test_any_pages_from_any_place_over_any_border(
    sealed: tuple[PostgresLog, list[Event]],
    database: Database,
    limits: list[int],
    start: int,
    more: tuple[int, int],
) -> None:
    """Each example trims the log a little further."""
    log, whole = sealed
    async with database.transaction("city") as transaction:
        first = dict(map(tuple, await transaction.fetch("SELECT shard, first FROM lakefront.heads")))
    head = await log.head(ACTOR, STREAM)
    await log.trim(ACTOR, STREAM, {shard: min(first[shard] + more[shard], head[shard]) for shard in head})
    position: dict[int, int] = {}
    for passed in whole[:start]:
        position[passed.shard] = passed.offset + 1
    found: list[Event] = []
    number = 0
    while (page := await log.read(ACTOR, STREAM, position, limit=limits[number % len(limits)])).events:
        found, position, number = found + page.events, page.position, number + 1
    assert found == whole[start:]


async def kept(log: PostgresLog) -> dict[int, int]:
    """The first offsets that a log still has: what a cursor that expired is told."""
    with pytest.raises(CursorExpired) as told:
        await log.read(ACTOR, STREAM, {}, limit=1)
    assert told.value.cursor is not None
    return decode(STREAM, told.value.cursor).offsets


async def test_without_a_lake_the_cursor_has_expired(
    open_log: OpenLog, sealed: tuple[PostgresLog, list[Event]]
) -> None:
    log, whole = sealed
    await log.trim(ACTOR, STREAM, {0: 10, 1: 20})
    bare = await open_log()
    with pytest.raises(CursorExpired) as told:
        await bare.read(ACTOR, STREAM, {1: 40})
    assert told.value.cursor is not None
    position = decode(STREAM, told.value.cursor).offsets
    assert position == {0: 10, 1: 40}
    assert await kept(bare) == {0: 10, 1: 20}
    rest = flat(await collect(bare, position, len(whole) - 50))
    assert {(e.shard, e.offset) for e in rest} == {(e.shard, e.offset) for e in whole if e.offset >= position[e.shard]}
    with pytest.raises(CursorExpired):
        await collect(bare, {}, 1)


async def test_a_follower_from_the_lake_to_live_while_writers_write_and_the_log_is_trimmed(
    open_log: OpenLog, database: Database, store: LocalStore, history: History
) -> None:
    log, other = await open_log(history=history, poll_interval=0.02), await open_log()
    old = await filled(log)
    await seal_all(database, store, count=40)
    await log.trim(ACTOR, STREAM, await log.head(ACTOR, STREAM))
    total = len(old) + 40 * 10

    async def write() -> None:
        for request in range(40):
            await other.append(ACTOR, STREAM, events(f"new{request}", 10))
            await asyncio.sleep(0.01)

    async def trim() -> None:
        for _ in range(10):
            await asyncio.sleep(0.03)
            while await seal(database, store, 0, 7) and await seal(database, store, 1, 11):
                pass
            async with database.transaction("city") as transaction:
                rows = await transaction.fetch("SELECT shard, max(until_offset) FROM lakefront.lake_objects GROUP BY 1")
            await log.trim(ACTOR, STREAM, dict(map(tuple, rows)))

    writing = asyncio.gather(write(), trim())
    starts = [old[: number * 50] for number in range(6)]
    positions = [{e.shard: e.offset + 1 for e in passed} for passed in starts]
    followed = await asyncio.gather(
        *(collect(log, at, total - len(passed)) for at, passed in zip(positions, starts, strict=True))
    )
    await writing
    everywhere = await everything(log)
    assert_gapless(everywhere)
    assert len(everywhere) == total
    for pages, passed in zip(followed, starts, strict=True):
        found = flat(pages)
        assert found[: len(old) - len(passed)] == old[len(passed) :], "what lay there before has one order"
        assert_gapless([*passed, *found])
        assert {e.event_id for e in found} == {e.event_id for e in everywhere[len(passed) :]}


async def test_a_follower_waits_while_the_store_is_away(
    sealed: tuple[PostgresLog, list[Event]], store: LocalStore
) -> None:
    log, whole = sealed
    await log.trim(ACTOR, STREAM, await log.head(ACTOR, STREAM))
    away = store.folder.rename(store.folder.with_name("away"))
    following = asyncio.create_task(collect(log, {}, len(whole)))
    await asyncio.sleep(0.6)
    assert not following.done()
    away.rename(store.folder)
    assert flat(await following) == whole


class CountingStore(LocalStore):
    """Tells how often an object was read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reads: Counter[str] = Counter()

    def read(self, key: str) -> AsyncGenerator[bytes, None]:
        self.reads[key] += 1
        return super().read(key)


async def test_an_object_is_read_once_and_not_for_each_page(
    open_log: OpenLog, sealed: tuple[PostgresLog, list[Event]], database: Database, store: LocalStore
) -> None:
    log, whole = sealed
    await log.trim(ACTOR, STREAM, await log.head(ACTOR, STREAM))
    counting = CountingStore(store.folder)
    reader = await open_log(history=History(database, counting))
    assert await everything(reader, limit=5) == whole
    assert len(counting.reads) == sum(-(-count // 23) for count in (await log.head(ACTOR, STREAM)).values())
    assert set(counting.reads.values()) == {1}
    assert await asyncio.gather(*(everything(reader, limit=5) for _ in range(3))) == [whole] * 3


async def test_large_objects_are_kept_between_pages_too(
    open_log: OpenLog,
    sealed: tuple[PostgresLog, list[Event]],
    database: Database,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, whole = sealed
    await log.trim(ACTOR, STREAM, await log.head(ACTOR, STREAM))
    monkeypatch.setattr(history_module, "PLACES_BYTES", 1)
    counting = CountingStore(store.folder)
    reader = await open_log(history=History(database, counting))
    assert await everything(reader, limit=5) == whole
    assert set(counting.reads.values()) == {1}


class SlowStore(LocalStore):
    """Takes ``seconds`` for each object, as one far away may; tells how many it gives at once."""

    def __init__(self, folder: Path, seconds: float) -> None:
        super().__init__(folder)
        self.seconds = seconds
        self.reads: list[str] = []
        self.running = self.most = 0

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        self.reads.append(key)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.seconds)
            async for part in super().read(key):
                yield part
        finally:
            self.running -= 1


async def test_a_follower_hears_its_heartbeat_while_the_lake_is_slow(
    open_log: OpenLog, sealed: tuple[PostgresLog, list[Event]], database: Database, store: LocalStore
) -> None:
    log, whole = sealed
    await log.trim(ACTOR, STREAM, await log.head(ACTOR, STREAM))
    slow = SlowStore(store.folder, 0.5)
    reader = await open_log(history=History(database, slow))
    pages: list[Page] = []
    async with asyncio.timeout(20), reader.follow(ACTOR, STREAM, {}, heartbeat=0.1) as follower:
        async for page in follower:
            pages.append(page)
            if page.events:
                break
        assert not any(page.events for page in pages[:3]), "silence is told as such"
        assert flat(pages) == whole[: len(pages[-1].events)], "and a read that takes longer comes to its end"
        assert slow.most == 2, "the shards' objects come at once"
        assert len(set(slow.reads)) == len(slow.reads) == 2
        slow.seconds = 60
        while (await anext(follower)).events:
            pass
        assert slow.running
    assert not slow.running, "nobody reads for one who left"


async def test_a_store_that_trickles_is_unavailable(
    open_log: OpenLog,
    sealed: tuple[PostgresLog, list[Event]],
    database: Database,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, _ = sealed
    await log.trim(ACTOR, STREAM, await log.head(ACTOR, STREAM))
    monkeypatch.setattr(unpack, "PATIENCE", 0.1)
    reader = await open_log(history=History(database, SlowStore(store.folder, 60)))
    with pytest.raises(Unavailable, match="did not give"):
        await everything(reader)


async def test_damaged_objects_are_told_and_never_handed_out(
    sealed: tuple[PostgresLog, list[Event]], store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    log, whole = sealed
    await log.trim(ACTOR, STREAM, await log.head(ACTOR, STREAM))
    paths = sorted(path for path in store.folder.rglob("*.json.gz"))
    paths[0].write_bytes(paths[0].read_bytes()[:-1] + b"x")
    with pytest.raises(InternalError, match="verify lake"):
        await everything(log)
    assert "SHA-256" in caplog.text
    paths[0].unlink()
    with pytest.raises(InternalError):
        await everything(log)
    assert "missing" in caplog.text
    assert [e for e in await everything_after(log, {0: 23}) if e.shard == 0] == [
        e for e in whole if e.shard == 0 and e.offset >= 23
    ]


async def everything_after(log: PostgresLog, position: dict[int, int]) -> list[Event]:
    found: list[Event] = []
    while (page := await log.read(ACTOR, STREAM, position)).events:
        found, position = found + page.events, page.position
    return found


async def test_only_what_is_sealed_and_taken_in_is_trimmed(
    open_log: OpenLog, database: Database, store: LocalStore
) -> None:
    log = await open_log()
    whole = await filled(log, requests=4)
    with pytest.raises(ValidationError, match="the lake has"):
        await log.trim(ACTOR, STREAM, {0: 1})
    await seal(database, store, 0, 10)
    async with database.transaction("city") as transaction:
        await transaction.execute("INSERT INTO lakefront.consumer_offsets VALUES ('city', 'permits', $1, 0, 6)", STREAM)
    with pytest.raises(ValidationError, match="consumer has taken in only what lies before 6"):
        await log.trim(ACTOR, STREAM, {0: 7})
    with pytest.raises(ValidationError):
        await log.trim(ACTOR, STREAM, {7: 1})
    assert await everything(log) == whole
    assert await log.trim(ACTOR, STREAM, {0: 6}) == 6
    assert await log.trim(ACTOR, STREAM, {0: 3}) == 0
    assert await kept(log) == {0: 6, 1: 0}
