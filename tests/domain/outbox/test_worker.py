"""The worker: what a handler raises decides, each job is done once, those of a key in their order (C2, C3, C12)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from lakefront.db.listener import Listener
from lakefront.domain.outbox import CHANNEL, Job, NewJob, OutboxWorker, enqueue, finish
from lakefront.domain.services import Services
from lakefront.errors import (
    NotConfigured,
    RateLimited,
    Unavailable,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUncertain,
    ValidationError,
)
from tests.domain.outbox.outside import (
    QUICK,
    Killed,
    Outside,
    Step,
    job,
    put,
    results,
    rows,
    until,
    until_state,
    working,
)

BREAKER = Unavailable("left alone", details=[{"provider": "probe"}], retry_after=0.01)


async def letters(desk: Services) -> list[tuple[object, ...]]:
    found = await rows(
        desk.database,
        "SELECT key, state, uncertain, error_code, replay_at IS NOT NULL FROM lakefront.dead_letters ORDER BY died_at",
    )
    return [tuple(row) for row in found]


async def test_a_job_is_done_and_its_result_written_with_it(desk: Services, redis: Redis, outside: Outside) -> None:
    async with working(desk, redis, outside):
        done = await until_state(desk.database, await put(desk.database, "a"), "DONE")
    assert (done["attempts"], done["due_at"], done["in_doubt_since"]) == (1, None, None)
    assert await results(desk.database) == {"a": ["done"]}
    assert outside.tried == {"a": 1}
    assert outside.looked_up == {}


async def test_what_is_rolled_back_was_never_enqueued(desk: Services, redis: Redis, outside: Outside) -> None:
    async def enqueue_and_fail() -> None:
        async with desk.database.transaction("city") as transaction:
            await enqueue(transaction, "city", NewJob("test.call", "a", "probe", "", {}, "t"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await enqueue_and_fail()
    assert await rows(desk.database, "SELECT 1 FROM lakefront.outbox") == []


async def test_the_same_id_is_one_job(desk: Services, redis: Redis, outside: Outside) -> None:
    same = uuid4()
    async with working(desk, redis, outside):
        assert await put(desk.database, "a", job_id=same) == same
        await until_state(desk.database, same, "DONE")
        await put(desk.database, "a", job_id=same)
        await until_state(desk.database, await put(desk.database, "b"), "DONE")
    assert outside.tried == {"a": 1, "b": 1}


async def test_a_notice_wakes_a_worker_that_looks_seldom(dsn: str, desk: Services, outside: Outside) -> None:
    listener = Listener(dsn)
    async with working(desk, None, outside, pace=replace(QUICK, poll=600.0)) as worker:
        listener.on(CHANNEL, worker.notice)
        listener.watch(lambda _: worker.wake())
        await listener.open()
        try:
            await until_state(desk.database, await put(desk.database, "a"), "DONE")
        finally:
            await listener.close()


async def test_jobs_of_a_key_are_done_in_their_order(desk: Services, redis: Redis, outside: Outside) -> None:
    outside.steps["a"] = [Step(before=UpstreamError()), Step(seconds=0.03), Step(before=BREAKER)]
    for number in range(5):
        last = await put(desk.database, "a", payload={"number": number})
    other = await put(desk.database, "b")
    async with working(desk, redis, outside), working(desk, redis, outside):
        await until_state(desk.database, last, "DONE")
        await until_state(desk.database, other, "DONE")
    assert [each for each in outside.order if each.startswith("a")] == [f"a:{number}" for number in range(5)]


async def test_a_job_waits_until_it_is_due(desk: Services, redis: Redis, outside: Outside) -> None:
    later = await put(desk.database, "a", due_at=datetime.now(UTC) + timedelta(hours=1))
    async with working(desk, redis, outside):
        await until_state(desk.database, await put(desk.database, "b"), "DONE")
    assert (await job(desk.database, later))["attempts"] == 0


@pytest.mark.parametrize("error", [UpstreamError(), RateLimited(retry_after=0.01), BREAKER])
async def test_what_did_nothing_is_tried_again(
    desk: Services, redis: Redis, outside: Outside, error: Exception
) -> None:
    outside.steps["a"] = [Step(before=error), Step(before=error)]
    async with working(desk, redis, outside):
        done = await until_state(desk.database, await put(desk.database, "a"), "DONE", "DEAD")
    assert (done["state"], done["attempts"]) == ("DONE", 3)
    assert outside.looked_up == {}


@pytest.mark.parametrize(
    ("error", "replayed"),
    [(UpstreamRejected(), False), (ValidationError(), False), (UpstreamDenied(), True), (NotConfigured(), True)],
)
async def test_what_is_refused_is_dead_at_once(
    desk: Services, redis: Redis, outside: Outside, error: UpstreamError, replayed: bool
) -> None:
    outside.steps["a"] = [Step(before=error)]
    async with working(desk, redis, outside):
        dead = await until_state(desk.database, await put(desk.database, "a"), "DEAD")
    assert (dead["attempts"], dead["error_code"], dead["in_doubt_since"]) == (1, error.code, None)
    assert await letters(desk) == [("a", "WAITING", False, error.code, replayed)]
    assert outside.given_up == [("a", error.code, False)]
    assert await results(desk.database) == {"a": [f"gave up: {error.code}"]}


async def test_failures_for_too_long_make_it_dead_and_a_while_later_it_is_replayed(
    desk: Services, redis: Redis, outside: Outside
) -> None:
    failing = [Step(before=UpstreamError())] * 100
    outside.steps["a"] = list(failing)
    first, second = await put(desk.database, "a"), await put(desk.database, "a", payload={"number": 2})
    async with working(desk, redis, outside, pace=replace(QUICK, replay_after=0.5)):
        dead = await until_state(desk.database, first, "DEAD")
        assert dead["attempts"] > 2
        assert (await job(desk.database, second))["attempts"] == 0  # it would overtake
        outside.steps["a"].clear()
        await until_state(desk.database, second, "DONE")
    assert outside.order == ["a:", "a:2"]
    assert await letters(desk) == [("a", "REPLAYED", False, "upstream_error", True)]
    again = await job(desk.database, first)
    assert (again["state"], again["replays"]) == ("DONE", 1)


async def test_a_breaker_that_stays_open_makes_nothing_dead(desk: Services, redis: Redis, outside: Outside) -> None:
    outside.steps["a"] = [Step(before=BREAKER)] * 12
    async with working(desk, redis, outside, pace=replace(QUICK, retry_for=0.01)):
        done = await until_state(desk.database, await put(desk.database, "a"), "DONE", "DEAD")
    assert (done["state"], done["attempts"]) == ("DONE", 13)


async def test_who_waits_for_a_whole_day_is_dead(desk: Services, redis: Redis, outside: Outside) -> None:
    outside.steps["a"] = [Step(before=BREAKER)] * 1000
    async with working(desk, redis, outside, pace=replace(QUICK, wait_for=0.2)):
        await until_state(desk.database, await put(desk.database, "a"), "DEAD")
    assert await letters(desk) == [("a", "WAITING", False, "unavailable", True)]


@pytest.mark.parametrize(
    "step",
    [
        Step(after=UpstreamUncertain()),
        Step(after=Unavailable()),  # PostgreSQL's: the result could not be written
        Step(after=KeyError("a bug, and a name that no log may have")),
        Step(seconds=30),
        Step(after=Killed()),
        Step(before=Killed()),
    ],
    ids=["uncertain", "unwritten", "bug", "hung", "killed after", "killed before"],
)
async def test_what_may_have_gone_through_is_looked_up_and_never_done_twice(
    desk: Services, redis: Redis, outside: Outside, step: Step, caplog: pytest.LogCaptureFixture
) -> None:
    outside.steps["a"] = [step]
    async with working(desk, redis, outside, pace=replace(QUICK, longest=0.1)):
        done = await until_state(desk.database, await put(desk.database, "a"), "DONE")
    assert outside.done == {"a": 1}
    assert outside.looked_up == {"a": 1}
    assert done["attempts"] == 2
    assert await results(desk.database) == {"a": ["done"]}
    assert "no log may have" not in caplog.text


async def test_postgresql_away_before_anything_was_sent_leaves_no_doubt(
    desk: Services, redis: Redis, outside: Outside
) -> None:
    outside.steps["a"] = [Step(unsent=Unavailable(retry_after=0.01))]
    async with working(desk, redis, outside):
        await until_state(desk.database, await put(desk.database, "a"), "DONE")
    assert outside.looked_up == {}


async def test_where_it_cannot_be_told_a_person_has_to_look(desk: Services, redis: Redis) -> None:
    outside = Outside(finds=False)
    outside.steps["a"] = [Step(after=UpstreamUncertain())]
    first, second = await put(desk.database, "a"), await put(desk.database, "a")
    async with working(desk, redis, outside):
        uncertain = await until_state(desk.database, first, "UNCERTAIN")
        await until_state(desk.database, await put(desk.database, "b"), "DONE")
    assert uncertain["in_doubt_since"] is not None
    assert (await job(desk.database, second))["attempts"] == 0
    assert await letters(desk) == [("a", "WAITING", True, "upstream_uncertain", False)]
    assert outside.given_up == [("a", "upstream_uncertain", True)]
    assert outside.done == {"a": 1, "b": 1}


async def test_a_look_up_that_fails_is_made_again_and_at_last_left_to_a_person(
    desk: Services, redis: Redis, outside: Outside
) -> None:
    outside.steps["a"] = outside.steps["b"] = [Step(after=UpstreamUncertain())]
    outside.look_ups = [UpstreamError(), Unavailable(retry_after=0.01)]
    async with working(desk, redis, outside):
        await until_state(desk.database, await put(desk.database, "a"), "DONE")
        outside.look_ups = [UpstreamError() for _ in range(1000)]
        outside.steps["b"] = [Step(after=UpstreamUncertain())]
        await until_state(desk.database, await put(desk.database, "b"), "UNCERTAIN")
    assert outside.looked_up["a"] == 3
    assert await letters(desk) == [("b", "WAITING", True, "upstream_error", False)]


async def test_a_lease_is_renewed_while_a_handler_works(desk: Services, redis: Redis, outside: Outside) -> None:
    outside.steps["a"] = [Step(seconds=1.8)]
    pace = replace(QUICK, lease=0.9, look_up_after=0.6, longest=20.0)
    async with working(desk, redis, outside, pace=pace), working(desk, redis, outside, pace=pace):
        await until_state(desk.database, await put(desk.database, "a"), "DONE")
    assert outside.tried == {"a": 1}
    assert outside.looked_up == {}


async def test_who_lost_the_lease_writes_nothing(dsn: str, desk: Services, outside: Outside) -> None:
    job_id = await put(desk.database, "a")
    stale = Job("city", job_id, "test.call", "a", "probe", "", {}, 1, "t", None)
    async with desk.database.transaction("city") as transaction:
        await transaction.execute("UPDATE lakefront.outbox SET state = 'RUNNING', attempts = 2")
        assert not await finish(transaction, stale)
        assert await finish(transaction, replace(stale, attempt=2))
        assert not await finish(transaction, replace(stale, attempt=2))


async def test_a_job_that_was_taken_away_stops_its_handler(desk: Services, redis: Redis, outside: Outside) -> None:
    outside.steps["a"] = [Step(seconds=1.5)]
    async with working(desk, redis, outside):
        job_id = await put(desk.database, "a")
        await until_state(desk.database, job_id, "RUNNING")
        async with desk.database.transaction("city") as transaction:
            await transaction.execute("UPDATE lakefront.outbox SET attempts = 7, due_at = now()")
        await until_state(desk.database, job_id, "DONE")
    assert outside.done == {"a": 1}
    assert outside.looked_up == {"a": 1}


async def test_a_domain_whose_own_row_fails_has_its_dead_letter_all_the_same(desk: Services, redis: Redis) -> None:
    class Broken(Outside):
        async def gave_up(self, transaction: object, *_: object, **__: object) -> None:
            await transaction.execute("SELECT 1 / 0")  # type: ignore[attr-defined]

    outside = Broken()
    outside.steps["a"] = [Step(before=UpstreamRejected())]
    async with working(desk, redis, outside):
        await until_state(desk.database, await put(desk.database, "a"), "DEAD")
    assert len(await letters(desk)) == 1


async def test_every_tenant_is_served_and_sees_its_own(desk: Services, redis: Redis, outside: Outside) -> None:
    async with working(desk, redis, outside):
        for tenant in ("city", "two", "three"):
            job_id = await put(desk.database, f"of {tenant}", tenant=tenant)
            await until_state(desk.database, job_id, "DONE", tenant=tenant)
            assert await results(desk.database, tenant) == {f"of {tenant}": ["done"]}


async def test_jobs_without_a_handler_are_left_for_a_server_that_has_one(
    desk: Services, redis: Redis, outside: Outside
) -> None:
    unknown = await put(desk.database, "a", kind="test.newer")
    async with working(desk, redis, outside):
        await until_state(desk.database, await put(desk.database, "b"), "DONE")
    assert (await job(desk.database, unknown))["state"] == "QUEUED"


async def test_two_handlers_of_a_kind_are_a_mistake(desk: Services) -> None:
    with pytest.raises(ValueError, match=r"test\.call"):
        OutboxWorker(desk, None, [Outside(), Outside()])


async def test_what_is_slow_does_not_keep_the_others_waiting(desk: Services, redis: Redis, outside: Outside) -> None:
    for number in range(30):
        outside.steps[f"slow {number}"] = [Step(seconds=15.0)]
        await put(desk.database, f"slow {number}", provider="slow")
    async with working(desk, redis, outside, pace=replace(QUICK, jobs=4, share=2, longest=20.0)):

        async def begun() -> bool:
            return len(outside.tried) == 2

        await until(begun)
        async with asyncio.timeout(10.0):
            for number in range(5):
                await until_state(desk.database, await put(desk.database, f"quick {number}"), "DONE")
        assert sum(outside.tried[f"slow {number}"] for number in range(30)) == 2


async def test_two_servers_share_the_jobs(desk: Services, redis: Redis) -> None:
    one, other = Outside(), Outside()
    ids = [await put(desk.database, f"k{number}", provider=f"p{number % 3}") for number in range(60)]
    for each in (one, other):
        each.steps.update({f"k{number}": [Step(seconds=0.01)] for number in range(60)})
    pace = replace(QUICK, jobs=4)
    async with working(desk, redis, one, pace=pace), working(desk, redis, other, pace=pace):
        for job_id in ids:
            await until_state(desk.database, job_id, "DONE")
    assert set((one.done + other.done).values()) == {1}
    assert len(one.done + other.done) == 60
    assert one.done
    assert other.done


async def test_postgresqls_connections_may_break_at_any_time(
    dsn: str, desk: Services, redis: Redis, outside: Outside
) -> None:
    async def cut() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            while True:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                await asyncio.sleep(0.07)
        finally:
            await connection.close()

    for number in range(20):
        outside.steps[f"k{number}"] = [Step(seconds=0.03)]
        await put(desk.database, f"k{number}")
    async with working(desk, redis, outside, pace=replace(QUICK, jobs=4)):
        cutting = asyncio.create_task(cut())
        await asyncio.sleep(1.0)
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)

        async def done() -> bool:
            try:
                found = await results(desk.database)
            except Unavailable:
                return False
            return len(found) == 20 and not await rows(
                desk.database, "SELECT 1 FROM lakefront.outbox WHERE state <> 'DONE'"
            )

        await until(done)
    assert await results(desk.database) == {f"k{number}": ["done"] for number in range(20)}
    assert set(outside.done.values()) == {1}
