"""What Redis has is a view of PostgreSQL: it may be flushed, killed, or left behind by a dead worker at any time."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from lakefront.db.embedded import EmbeddedRedis
from lakefront.domain.outbox import claims, stream
from lakefront.domain.outbox.stream import GROUP, STREAM, JobStream
from lakefront.domain.services import Services
from lakefront.errors import NotConfigured, UpstreamRejected
from tests.domain.outbox.outside import QUICK, Outside, Step, put, results, rows, until, until_state, working


async def all_done(desk: Services) -> bool:
    return not await rows(desk.database, "SELECT 1 FROM lakefront.outbox WHERE state <> 'DONE'")


async def listed(redis: Redis, provider: str) -> list[dict[str, Any]]:
    found: Any = await redis.lrange(f"dlq:{provider}", 0, -1)
    return [json.loads(each) for each in found]


async def test_jobs_go_over_the_stream_and_leave_nothing_in_it(desk: Services, redis: Redis, outside: Outside) -> None:
    async with working(desk, redis, outside):
        for number in range(20):
            await put(desk.database, f"k{number}")
        await until(lambda: all_done(desk))

        async def empty() -> bool:
            return await redis.xlen(STREAM) == 0 and (await redis.xpending(STREAM, GROUP))["pending"] == 0

        await until(empty)
        assert (await redis.xinfo_stream(STREAM))["entries-added"] == 20
    assert set(outside.done.values()) == {1}


async def test_flushed_again_and_again_it_loses_nothing(desk: Services, redis: Redis, outside: Outside) -> None:
    numbers = count()

    async def flush() -> None:
        while True:
            await redis.flushall()
            await asyncio.sleep(0.01)

    flushing = asyncio.create_task(flush())
    try:
        async with working(desk, redis, outside, pace=replace(QUICK, jobs=4)):
            for _ in range(30):
                outside.steps[key := f"k{next(numbers)}"] = [Step(seconds=0.02)]
                await put(desk.database, key)
            await until(lambda: all_done(desk))
    finally:
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
    assert len(outside.done) == 30
    assert set(outside.done.values()) == {1}


@pytest.fixture
async def mortal(short_folder: Path) -> AsyncIterator[EmbeddedRedis]:
    """A Redis that may be stopped; started anew, it is where it was."""
    server = EmbeddedRedis(short_folder / "redis")
    await server.start()
    yield server
    await server.stop()


async def test_killed_and_back_again_it_delays_nothing(desk: Services, mortal: EmbeddedRedis, outside: Outside) -> None:
    async with (
        Redis.from_url(mortal.url, socket_timeout=0.5, socket_connect_timeout=0.5) as redis,
        working(desk, redis, outside),
    ):
        await until_state(desk.database, await put(desk.database, "before"), "DONE")
        outside.steps["during"] = [Step(seconds=0.2)]
        during = await put(desk.database, "during")
        await until_state(desk.database, during, "RUNNING")
        await mortal.stop()
        await until_state(desk.database, await put(desk.database, "without"), "DONE")
        await until_state(desk.database, during, "DONE")
        await mortal.start()

        async def back() -> bool:
            await until_state(desk.database, await put(desk.database, "after"), "DONE")
            return bool(await redis.exists(STREAM))

        await until(back)
    assert [outside.done[key] for key in ("before", "during", "without")] == [1, 1, 1]


async def test_without_redis_postgresql_is_enough(desk: Services, outside: Outside) -> None:
    async with working(desk, None, outside), working(desk, None, outside):
        for number in range(20):
            await put(desk.database, f"k{number % 5}", payload={"number": number})
        await until(lambda: all_done(desk))
    assert sum(outside.done.values()) == 20


async def test_what_a_dead_worker_had_read_is_taken_over(desk: Services, redis: Redis, outside: Outside) -> None:
    job_id = await put(desk.database, "a")
    dead = JobStream(redis)
    found = await claims.due(desk.provisioner, [Outside.kind], most=10)
    await dead.hand(found)
    assert [message.due.job_id for message in await dead.read(10)] == [job_id]
    assert await redis.ttl(f"lakefront:{{outbox}}:handed:{job_id}:0") > 30  # nobody hands it again soon
    async with working(desk, redis, outside):
        await until_state(desk.database, job_id, "DONE")
    assert outside.done == {"a": 1}


async def test_a_job_is_handed_once_however_many_find_it(desk: Services, redis: Redis) -> None:
    await put(desk.database, "a")
    one, other = JobStream(redis), JobStream(redis)
    for each in (one, other, one):
        await each.hand(await claims.due(desk.provisioner, [Outside.kind], most=10))
    assert await redis.xlen(STREAM) == 1
    [message] = await other.read(10)
    assert await one.read(10) == []
    await other.acknowledge(message)
    assert await redis.xlen(STREAM) == 0


async def test_what_is_old_is_cut_off(desk: Services, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "OLDEST", -10.0)
    view = JobStream(redis)
    for number in range(300):
        await redis.xadd(STREAM, {"job": f"junk {number}"})
    assert await view.read(1) == []  # what cannot be read is passed over
    await view.tidy()
    assert await redis.xlen(STREAM) < 300


async def test_dead_letters_are_listed_and_the_lists_are_made_again(
    desk: Services, redis: Redis, outside: Outside
) -> None:
    outside.steps["a"] = [Step(before=UpstreamRejected("The 311 system refuses this."))]
    outside.steps["b"] = [Step(before=NotConfigured())]
    async with working(desk, redis, outside):
        payload = {"request_id": "sr-1", "caller": "Ada Lovelace"}
        await put(desk.database, "a", provider="nyc_311", city="nyc", payload=payload)
        await put(desk.database, "b", provider="nyc_311", city="nyc", tenant="other")

        async def both() -> bool:
            return len(await listed(redis, "nyc_311")) == 2

        await until(both)
        letters = {each["tenant"]: each for each in await listed(redis, "nyc_311")}
        assert letters["city"]["trace_id"] == "ab" * 16
        assert letters["city"]["error_code"] == "upstream_rejected"
        assert letters["city"]["replay_at"] is None
        assert letters["other"]["replay_at"] is not None
        assert "Ada" not in json.dumps(list(letters.values()))
        await redis.flushall()
        await until(both)
        await redis.rpop("dlq:nyc_311")
        await until(both)
        async with desk.database.transaction("city") as transaction:
            await transaction.execute(
                "UPDATE lakefront.dead_letters SET state = 'DISCARDED', decided_at = now(), decided_by = 'ada'"
            )

        async def one() -> bool:
            return [each["tenant"] for each in await listed(redis, "nyc_311")] == ["other"]

        await until(one)


async def test_jobs_that_are_done_are_forgotten_after_a_while(desk: Services, redis: Redis, outside: Outside) -> None:
    outside.steps["b"] = [Step(before=UpstreamRejected())]
    async with working(desk, redis, outside, pace=replace(QUICK, keep_done=0.0)):
        await put(desk.database, "a")
        await put(desk.database, "b")

        async def only_the_dead() -> bool:
            found = await rows(desk.database, "SELECT key FROM lakefront.outbox")
            return [row["key"] for row in found] == ["b"] and "a" in await results(desk.database)

        await until(only_the_dead)


async def test_what_was_decided_long_ago_is_forgotten_and_what_waits_is_not(
    desk: Services, redis: Redis, outside: Outside
) -> None:
    for key in ("decided", "waiting"):
        outside.steps[key] = [Step(before=UpstreamRejected())]
    async with working(desk, redis, outside):
        for key in ("decided", "waiting"):
            await until_state(desk.database, await put(desk.database, key), "DEAD")
    async with desk.database.transaction("city") as transaction:
        await transaction.execute(
            "UPDATE lakefront.dead_letters SET state = 'DISCARDED', decided_at = now() - interval '91 days', "
            "decided_by = 'ada' WHERE key = 'decided'"
        )

    async def only_what_waits() -> bool:
        found = [
            [row["key"] for row in await rows(desk.database, f"SELECT key FROM lakefront.{table}")]
            for table in ("outbox", "dead_letters")
        ]
        return found == [["waiting"], ["waiting"]]

    async with working(desk, redis, outside):
        await until(only_what_waits)
