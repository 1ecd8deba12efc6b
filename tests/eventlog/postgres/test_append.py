"""Appends under races, cancellations and lost connections: gapless, in order, once each, nothing acknowledged lost."""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.migrate import migrate
from lakefront.errors import Unavailable
from lakefront.eventlog.events import Appended, Event, NewEvent, Outcome
from lakefront.eventlog.postgres import PostgresLog
from tests.eventlog.conftest import OpenLog
from tests.eventlog.samples import ACTOR, STREAM, assert_gapless, event, events, everything


async def until_acknowledged(log: PostgresLog, batch: list[NewEvent]) -> list[Appended]:
    """What a good client does: the same again until it is answered."""
    while True:
        try:
            return await log.append(ACTOR, STREAM, batch)
        except Unavailable:
            await asyncio.sleep(0.02)


async def tail(log: PostgresLog, done: asyncio.Event) -> list[Event]:
    """A reader that races the writers: what it saw when all is done."""
    found: list[Event] = []
    position: dict[int, int] = {}
    while True:
        last = done.is_set()
        page = await log.read(ACTOR, STREAM, position, limit=50)
        found += page.events
        position = page.position
        if last and not page.events:
            return found


async def test_racing_writers_with_cancellations(open_log: OpenLog) -> None:
    logs = [await open_log(group_rows=30) for _ in range(3)]
    chance = random.Random(7)
    verdicts: dict[str, Appended] = {}

    async def writer(number: int) -> None:
        log = logs[number % 3]
        for request in range(15):
            batch = events(f"w{number}-{request}", chance.randint(1, 12))
            if chance.random() < 0.3:
                cancelled = asyncio.create_task(log.append(ACTOR, STREAM, batch))
                await asyncio.sleep(chance.uniform(0, 0.01))
                cancelled.cancel()
                await asyncio.wait([cancelled])
            answers = await log.append(ACTOR, STREAM, batch)
            verdicts.update(zip((sent.event_id for sent in batch), answers, strict=True))

    done = asyncio.Event()
    reading = asyncio.create_task(tail(logs[0], done))
    await asyncio.gather(*(writer(number) for number in range(9)))
    done.set()
    seen = await reading
    assert_gapless(seen)
    assert {e.event_id: (e.shard, e.offset) for e in seen} == {key: (v.shard, v.offset) for key, v in verdicts.items()}
    assert len(seen) == len(verdicts)
    assert {v.outcome for v in verdicts.values()} <= {Outcome.ACCEPTED, Outcome.DUPLICATE}


async def test_a_server_cancelled_in_the_middle_leaves_nothing_half_done(open_log: OpenLog, appender: Any) -> None:
    for attempt in range(10):
        log = await open_log()
        append = asyncio.create_task(log.append(ACTOR, STREAM, events("e", 200)))
        await asyncio.sleep(attempt * 0.004)
        await log._group.close(patience=0)  # what a shutdown out of patience does
        await asyncio.wait([append])
    await (await open_log()).append(ACTOR, STREAM, events("e", 200))
    found = await everything(await open_log())
    assert_gapless(found)
    assert Counter(e.event_id for e in found) == Counter(e.event_id for e in events("e", 200))
    assert await appender.fetchval("SELECT count(*) FROM lakefront.event_keys") == 200


async def test_the_same_id_racing_on_two_shards_is_stored_once(open_log: OpenLog) -> None:
    logs = [await open_log() for _ in range(3)]
    keys = ["permit a", "permit b", "permit c", "permit d"]

    async def send(log: PostgresLog, number: int, key: str) -> Appended:
        [verdict] = await log.append(ACTOR, STREAM, [event(f"e{number}", key=key)])
        return verdict

    for number in range(40):
        verdicts = await asyncio.gather(*(send(logs[i % 3], number, key) for i, key in enumerate(keys)))
        assert sorted(v.outcome for v in verdicts) == ["accepted", "conflict", "conflict", "conflict"]
        assert len({(v.shard, v.offset) for v in verdicts}) == 1
    found = await everything(logs[0])
    assert len(found) == 40
    assert_gapless(found)
    assert {e.shard for e in found} == {0, 1}


async def test_the_same_requests_from_everywhere_are_stored_once(open_log: OpenLog) -> None:
    logs = [await open_log(group_rows=20) for _ in range(3)]
    batches = [events(f"r{number}", 7) for number in range(20)]
    sends = [log.append(ACTOR, STREAM, batch, atomic=n % 2 == 0) for n, log in enumerate(logs * 2) for batch in batches]
    verdicts = Counter(v.outcome for answer in await asyncio.gather(*sends) for v in answer)
    assert verdicts == {Outcome.ACCEPTED: 140, Outcome.DUPLICATE: 5 * 140}
    assert_gapless(await everything(logs[0]))


async def test_a_backend_killed_in_the_middle_loses_nothing(open_log: OpenLog, dsn: str) -> None:
    logs = [await open_log() for _ in range(2)]
    killer = await asyncpg.connect(dsn)
    acknowledged: list[str] = []
    kills = 0
    chance = random.Random(3)

    async def writer(number: int) -> None:
        for request in range(25):
            batch = events(f"w{number}-{request}", 20)
            await until_acknowledged(logs[number % 2], batch)
            acknowledged.extend(e.event_id for e in batch)

    writing = asyncio.gather(*(writer(number) for number in range(6)))
    for _ in range(60):  # and then no more: on a busy machine no connection would live long enough to write
        kills += await kill_backends(killer)
        await asyncio.sleep(chance.uniform(0.01, 0.15))
        if writing.done():
            break
    await writing
    await killer.close()
    found = await everything_patiently(logs[0])
    assert kills > 3
    assert_gapless(found)
    assert Counter(e.event_id for e in found) == Counter(acknowledged)


async def kill_backends(connection: Any) -> int:
    """End every other connection to the test's database."""
    ended: int = await connection.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    return ended


async def everything_patiently(log: PostgresLog) -> list[Event]:
    while True:
        try:
            return await everything(log)
        except Unavailable:
            await asyncio.sleep(0.02)


async def test_a_log_that_is_away_says_so_and_comes_back() -> None:
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:
        server = EmbeddedPostgres(Path(folder), parameters={"fsync": "off"})
        await server.start()
        await migrate(server.dsn())
        log = PostgresLog(server.dsn(), poll_interval=0.05)
        await log.open()
        await log.append(ACTOR, STREAM, events("before", 3))
        async with log.follow(ACTOR, STREAM, None, heartbeat=0.2) as follower:
            await anext(follower)
            await server.stop()
            for _ in range(3):
                with pytest.raises(Unavailable) as told:
                    await log.append(ACTOR, STREAM, [event("e")])
                assert told.value.retry_after
            with pytest.raises(Unavailable):
                await log.read(ACTOR, STREAM, {})
            assert (await anext(follower)).events == [], "a heartbeat comes all the same"
            await server.start()
            assert (await until_acknowledged(log, [event("e")]))[0].outcome is Outcome.ACCEPTED
            while not (page := await anext(follower)).events:
                pass
            assert [e.event_id for e in page.events] == ["e"]
        await log.close()
        await server.stop()


async def test_a_stream_keeps_its_number_of_shards(open_log: OpenLog, appender: Any) -> None:
    opened = [await open_log(shards=lambda _, shards=shards: shards) for shards in (3, 5, 2)]
    await asyncio.gather(*(log.append(ACTOR, STREAM, events(f"l{n}", 30)) for n, log in enumerate(opened)))
    counts = await appender.fetch("SELECT shard, next FROM lakefront.heads ORDER BY shard")
    assert [row["shard"] for row in counts] in ([0, 1], [0, 1, 2], [0, 1, 2, 3, 4])
    assert sum(row["next"] for row in counts) == 90


async def test_a_callers_cancellation_disturbs_nobody(open_log: OpenLog) -> None:
    log = await open_log()
    await log.append(ACTOR, STREAM, [event("first")])
    sends = [asyncio.create_task(log.append(ACTOR, STREAM, [event(f"e{number}")])) for number in range(60)]
    await asyncio.sleep(0)
    for send in sends[::3]:
        send.cancel()
    answers = await asyncio.gather(*sends, return_exceptions=True)
    assert all(isinstance(answer, list) for index, answer in enumerate(answers) if index % 3)
    assert_gapless(await everything(log))


async def test_idle_committers_go_away(log: PostgresLog, running: Callable[[str], set[str]]) -> None:
    await asyncio.gather(*(log.append(ACTOR, f"stream {number}", [event("e")]) for number in range(10)))
    await asyncio.sleep(0)
    assert running("committer") == set()


async def test_a_commit_that_fails_is_no_fault_of_the_events(open_log: OpenLog, dsn: str) -> None:
    """As PostgreSQL says that its queue of notices is full: the event is good, and is taken in as soon as it can be."""
    log = await open_log()
    await log.append(ACTOR, STREAM, [event("before")])
    operator = await asyncpg.connect(dsn)
    await operator.execute("""
        CREATE FUNCTION public.full_queue() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          RAISE EXCEPTION 'too many notifications in the NOTIFY queue' USING ERRCODE = 'program_limit_exceeded';
        END $$;
        CREATE CONSTRAINT TRIGGER full_queue AFTER UPDATE ON lakefront.heads DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION public.full_queue()
    """)
    with pytest.raises(Unavailable):
        await log.append(ACTOR, STREAM, [event("good")])
    await operator.execute("DROP FUNCTION public.full_queue CASCADE")
    await operator.close()
    [verdict] = await until_acknowledged(log, [event("good")])
    assert verdict.outcome is Outcome.ACCEPTED


@pytest.fixture
def running() -> Callable[[str], set[str]]:
    def names(prefix: str) -> set[str]:
        return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith(prefix)}

    return names


async def test_closing_finishes_what_is_queued(open_log: OpenLog) -> None:
    log = await open_log(group_rows=5)
    sends = [asyncio.create_task(log.append(ACTOR, STREAM, events(f"r{number}", 5))) for number in range(10)]
    await wait_until(lambda: any(task.done() for task in sends))
    await log.close()
    answers = await asyncio.gather(*sends)
    assert sum(len(answer) for answer in answers) == 50
    with pytest.raises(Unavailable, match="shutting down"):
        await log.append(ACTOR, STREAM, [event("late")])


async def wait_until(met: Callable[[], bool], patience: float = 5.0) -> None:
    async with asyncio.timeout(patience):
        while not met():  # noqa: ASYNC110 - what is awaited tells nobody
            await asyncio.sleep(0.001)


async def test_the_application_cannot_write_the_log(dsn: str, log: PostgresLog) -> None:
    await log.append(ACTOR, STREAM, [event("e")])
    app = await asyncpg.connect(dsn, server_settings={"role": "lakefront_app"})
    attempts: list[Callable[[], Awaitable[Any]]] = [
        lambda: app.execute("INSERT INTO lakefront.heads VALUES ('city', 's', 0, 1, 0)"),
        lambda: app.execute("UPDATE lakefront.events SET event_id = 'x'"),
        lambda: app.execute("DELETE FROM lakefront.events"),
        lambda: app.execute("SELECT FROM lakefront.event_keys"),
    ]
    for attempt in attempts:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await attempt()
    assert await app.fetchval("SELECT count(*) FROM lakefront.events") == 0
    await app.close()
