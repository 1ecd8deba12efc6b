"""Followers: every event exactly once, from any place, while writers write and connections break."""

import asyncio
import random
from collections.abc import Callable

import asyncpg
import msgspec
import pytest

from lakefront.db.listener import Listener
from lakefront.errors import Lagged, Unavailable
from lakefront.eventlog.cursors import decode
from lakefront.eventlog.events import Event, NewEvent, Page
from lakefront.eventlog.postgres import PostgresLog, hub
from lakefront.eventlog.postgres.follow import Following
from lakefront.eventlog.postgres.read import PAGE_BYTES
from tests.eventlog.conftest import OpenLog
from tests.eventlog.postgres.test_append import kill_backends, running, until_acknowledged, wait_until
from tests.eventlog.samples import ACTOR, STREAM, assert_gapless, event, events, everything

__all__ = ["running"]


async def collect(log: PostgresLog, after: dict[int, int] | None, count: int) -> list[Page]:
    """Pages from ``after`` on, until they hold ``count`` events."""
    pages: list[Page] = []
    async with asyncio.timeout(20), log.follow(ACTOR, STREAM, after) as follower:
        async for page in follower:
            pages.append(page)
            if sum(len(page.events) for page in pages) >= count:
                return pages
    raise AssertionError("a follower does not end by itself")


def flat(pages: list[Page]) -> list[Event]:
    return [event for page in pages for event in page.events]


async def test_every_event_exactly_once_while_writers_write(open_log: OpenLog) -> None:
    logs = [await open_log(poll_interval=0.02, group_rows=40) for _ in range(3)]
    chance = random.Random(11)
    total = 9 * 12 * 10

    async def writer(number: int) -> None:
        for request in range(12):
            await logs[number % 3].append(ACTOR, STREAM, events(f"w{number}-{request}", 10))
            await asyncio.sleep(chance.uniform(0, 0.01))

    async def late_follower(number: int) -> list[Page]:
        await asyncio.sleep(number * 0.02)
        return await collect(logs[number % 2], {}, total)

    writing = asyncio.gather(*(writer(number) for number in range(9)))
    followed = await asyncio.gather(*(late_follower(number) for number in range(8)))
    await writing
    stored = {(e.shard, e.offset): e.event_id for e in await everything(logs[0])}
    assert len(stored) == total
    for pages in followed:
        assert_gapless(flat(pages))
        assert {(e.shard, e.offset): e.event_id for e in flat(pages)} == stored
    for page in chance.sample(followed[0][:-1], 5):
        rest = flat(await collect(logs[2], page.position, total - sum(page.position.values())))
        assert {(e.shard, e.offset) for e in rest} == {key for key in stored if key[1] >= page.position.get(key[0], 0)}
        assert len(rest) == total - sum(page.position.values())


async def test_a_follower_that_lags_is_told_where_to_go_on(open_log: OpenLog) -> None:
    log = await open_log(follower_buffer=20, poll_interval=0.02)
    await log.append(ACTOR, STREAM, events("old", 5))
    async with log.follow(ACTOR, STREAM, {}) as slow, log.follow(ACTOR, STREAM, None, heartbeat=0.01) as quick:
        seen = flat([await anext(slow)])
        live = asyncio.create_task(anext(slow))
        await anext(quick)
        await log.append(ACTOR, STREAM, [event("live")])
        seen += (await live).events
        behind = asyncio.create_task(drain(quick, 101))
        for number in range(10):
            await log.append(ACTOR, STREAM, events(f"burst-{number}", 10))
        assert len(await behind) == 101, "the quick one is not disturbed"
        with pytest.raises(Lagged) as told:
            await take_all(slow, seen)
        assert told.value.cursor is not None
        place = decode(STREAM, told.value.cursor).offsets
    seen += flat(await collect(log, place, 106 - len(seen)))
    assert_gapless(seen)
    assert len(seen) == 106


async def test_a_follower_that_lags_by_bytes_is_told_so(open_log: OpenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "BUFFER_BYTES", 1_000_000)
    log = await open_log(poll_interval=0.02)
    async with log.follow(ACTOR, STREAM, None) as slow, log.follow(ACTOR, STREAM, None, heartbeat=0.01) as quick:
        live = asyncio.create_task(anext(slow))
        await anext(quick)
        await log.append(ACTOR, STREAM, [event("live")])
        seen = (await live).events
        behind = asyncio.create_task(drain(quick, 41))
        for number in range(20):
            await log.append(ACTOR, STREAM, large(f"burst-{number}", 2))
        assert len(await behind) == 41, "the quick one is not disturbed"
        with pytest.raises(Lagged) as told:
            await take_all(slow, seen)
        assert told.value.cursor is not None
        place = decode(STREAM, told.value.cursor).offsets
    seen += flat(await collect(log, place, 41 - len(seen)))
    assert_gapless(seen)
    assert len(seen) == 41


def large(prefix: str, count: int) -> list[NewEvent]:
    """Events of 60 kB, which PostgreSQL stores in far fewer bytes."""
    payload = b'{"text": "%s"}' % (b"sixty thousand" * 4300)
    return [event(f"{prefix}-{number}", payload=payload) for number in range(count)]


async def test_pages_of_large_events_are_cut_by_bytes(log: PostgresLog) -> None:
    await log.append(ACTOR, STREAM, [*events("small", 200), *large("large", 150)])
    pages = await collect(log, {}, 350)
    whole = await everything(log, limit=1)
    assert flat(pages) == whole
    sizes = [sum(len(msgspec.json.encode(each)) for each in page.events) for page in pages]
    assert max(sizes) < 1.5 * PAGE_BYTES
    assert len(pages) < 3 * sum(sizes) / PAGE_BYTES, "and not cut smaller than they need be"
    told = sum(page.size for page in pages)
    assert 0.9 * sum(sizes) < told < 1.1 * sum(sizes)
    await log.append(ACTOR, STREAM, events("last", 600))
    assert len(flat(await collect(log, pages[-1].position, 600))) == 600


async def take_all(follower: Following, seen: list[Event]) -> None:
    async for page in follower:
        seen += page.events


async def drain(follower: Following, count: int) -> list[Event]:
    seen: list[Event] = []
    async for page in follower:
        seen += page.events
        if len(seen) >= count:
            break
    return seen


async def test_a_follower_survives_lost_connections(open_log: OpenLog, dsn: str) -> None:
    log = await open_log(poll_interval=0.02)
    await log.append(ACTOR, STREAM, events("old", 10))
    killer = await asyncpg.connect(dsn)
    async with log.follow(ACTOR, STREAM, {}) as follower:
        following = asyncio.create_task(drain(follower, 210))
        for number in range(20):
            await until_acknowledged(log, events(f"r{number}", 10))
            await kill_backends(killer)
        found = await following
    await killer.close()
    assert_gapless(found)
    assert len(found) == 210


async def test_a_cancelled_wait_loses_nothing(open_log: OpenLog) -> None:
    log = await open_log(poll_interval=0.01)
    seen: list[Event] = []

    async def write() -> None:
        for number in range(60):
            await log.append(ACTOR, STREAM, [event(f"e{number}")])

    async with log.follow(ACTOR, STREAM, {}) as follower:
        writing = asyncio.create_task(write())
        async with asyncio.timeout(20):
            while len(seen) < 60:
                try:
                    seen += (await asyncio.wait_for(anext(follower), 0.003)).events
                except TimeoutError:
                    continue
        await writing
    assert_gapless(seen)
    assert len(seen) == 60


async def test_other_servers_appends_come_by_notice(open_log: OpenLog, dsn: str) -> None:
    listener = Listener(dsn)
    log, other = await open_log(poll_interval=60, listener=listener), await open_log()
    await other.append(ACTOR, STREAM, [event("old")])
    await listener.open()
    await wait_until(lambda: listener.connected)
    async with asyncio.timeout(5), log.follow(ACTOR, STREAM, {}, heartbeat=0.2) as follower:
        assert [e.event_id for e in (await anext(follower)).events] == ["old"]
        assert (await anext(follower)).events == []
        await other.append(ACTOR, STREAM, [event("new")])
        while not (page := await anext(follower)).events:
            pass
    assert [e.event_id for e in page.events] == ["new"]
    await listener.close()


async def test_the_hub_ends_with_its_last_follower(log: PostgresLog, running: Callable[[str], set[str]]) -> None:
    await log.append(ACTOR, STREAM, [event("e")])
    async with log.follow(ACTOR, STREAM, {}) as one, log.follow(ACTOR, STREAM, None, heartbeat=0.01) as two:
        assert len((await anext(one)).events) == 1
        assert (await anext(two)).events == []
        assert running("tail") == {f"tail of {STREAM}"}
    async with asyncio.timeout(5):
        while running("tail"):  # noqa: ASYNC110 - a task's end
            await asyncio.sleep(0.01)


async def test_closing_the_log_ends_its_followers(open_log: OpenLog) -> None:
    log = await open_log()
    await log.append(ACTOR, STREAM, [event("e")])
    async with log.follow(ACTOR, STREAM, None) as follower:
        waiting = asyncio.create_task(anext(follower))
        await asyncio.sleep(0.05)
        await log.close()
        with pytest.raises(Unavailable, match="shutting down"):
            await waiting
