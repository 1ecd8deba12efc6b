"""What the pipelines' numbers promise: counted once whatever the door, no made-up zeros, nothing lost in an outage."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import asyncpg
import pytest

from lakefront.actor import CITY, Actor
from lakefront.db.database import Database
from lakefront.domain import permits, pipelines
from lakefront.domain.services import Services
from lakefront.domain.tally import Counts, Tally, prune
from lakefront.errors import Forbidden, NotFound, PayloadTooLarge, Unavailable, ValidationError
from tests.actors import of_role
from tests.domain.permits.events import text

STREAM = permits.STREAM


async def _seal(database: Database, shard: int, start: int, until: int, *, sealed_after: float = 2.0) -> None:
    """A row of the manifest, as the sealer writes it."""
    async with database.transaction(CITY) as transaction:
        await transaction.execute(
            "INSERT INTO lakefront.lake_objects SELECT $1, $2, $3, $4, $5, $6, 'gzip', repeat('a', 64), 100, 1000, "
            "$5::bigint - $4::bigint, now() - make_interval(secs => $7), now(), now(), now()",
            *(CITY, STREAM, shard, start, until, f"key-{shard}-{start}", sealed_after),
        )


async def _minutes(database: Database) -> list[tuple[int, int]]:
    async with database.transaction(CITY) as transaction:
        return [
            tuple(row)
            for row in await transaction.fetch(
                "SELECT requests, accepted FROM lakefront.pipeline_minutes ORDER BY minute"
            )
        ]


async def test_a_stream_without_anything_has_no_averages(services: Services, actor: Actor) -> None:
    found = await pipelines.measure(services, actor, STREAM)
    assert found.intake == pipelines.Intake(0, 0, 0, 0, 0, 0.0)
    assert found.intake.error_rate is None
    assert found.intake.rejection_rate is None
    assert found.intake.average_seconds is None
    assert found.sealed == pipelines.Sealed(0, 0, 0, 0, None, None)
    assert found.sealed.events_per_batch is None
    assert [lag.consumer for lag in found.lag] == ["permits", "lake"]
    assert all((lag.events, lag.seconds) == (0, 0.0) for lag in found.lag)
    assert found.points == []
    assert found.range.seconds == pytest.approx(3600, abs=60)


async def test_what_comes_in_is_counted(services: Services, actor: Actor) -> None:
    first, second = text(eventId="1"), text(eventId="2")
    await permits.ingest(services, actor, [first, second, b"{}"])
    await permits.ingest(services, actor, [first])
    await permits.ingest(services, actor, [text(eventId="3")], dry_run=True)
    for refused in ([], [b"{}", b"{}"]):
        with pytest.raises(ValidationError):
            await permits.ingest(services, actor, refused)
    with pytest.raises(PayloadTooLarge):
        await permits.ingest(services, actor, [b""] * 250_001)
    intake = (await pipelines.measure(services, actor, STREAM)).intake
    assert (intake.requests, intake.failed_requests) == (5, 3), "a dry run is no request"
    assert (intake.accepted, intake.duplicates, intake.rejected) == (2, 1, 3)
    assert intake.received == 6
    assert intake.error_rate == pytest.approx(0.6)
    assert intake.rejection_rate == pytest.approx(0.5)
    assert intake.average_seconds is not None
    assert 0 < intake.average_seconds < 5


async def test_a_stored_answer_brings_no_events(services: Services, actor: Actor) -> None:
    for _ in range(3):
        report = await permits.ingest(services, actor, [text()], idempotency_key="once")
        assert report.accepted == 1
    intake = (await pipelines.measure(services, actor, STREAM)).intake
    assert (intake.requests, intake.accepted) == (3, 1)


async def test_writing_again_counts_once_and_servers_add_up(services: Services, actor: Actor) -> None:
    tally, other = services.meters.tally, Tally()
    for one in (tally, other):
        with one.request(CITY, STREAM) as counts:
            counts.accepted = 4
    for _ in range(3):
        await tally.flush(services.database)
        await other.flush(services.database)
    assert (await pipelines.measure(services, actor, STREAM)).intake.accepted == 8
    with tally.request(CITY, STREAM) as counts:
        counts.accepted = 1
    found = await pipelines.measure(services, actor, STREAM)
    assert (found.intake.requests, found.intake.accepted) == (3, 9)
    assert tally.totals[CITY, STREAM].accepted == 5
    assert sum(point.intake.accepted for point in found.points) == 9


async def test_old_minutes_are_pruned(database: Database) -> None:
    async with database.transaction(CITY) as transaction:
        await transaction.execute(
            "INSERT INTO lakefront.pipeline_minutes SELECT $1, $2, now() - make_interval(days => age), 'w', age, 0, 0, "
            "0, 0, 0 FROM unnest($3::int[]) AS age",
            *(CITY, STREAM, [0, 29, 31, 400]),
        )
        await prune(transaction, CITY)
    assert [requests for requests, _ in await _minutes(database)] == [29, 0]


async def test_counts_outlive_an_outage_and_memory_is_bounded(dsn: str) -> None:
    away = Database("postgresql://localhost:1/nothing")
    await away.open()
    tally = Tally(most_minutes=3)
    with tally.request(CITY, STREAM) as counts:
        counts.accepted = 2
    with pytest.raises(Unavailable):
        await tally.flush(away)
    await tally.close(away)
    database = Database(dsn)
    await database.open()
    await tally.flush(database)
    assert await _minutes(database) == [(1, 2)]
    for stream in "abcdef":
        with tally.request(CITY, stream):
            pass
    await tally.flush(database)
    assert len(await _minutes(database)) == 1 + 3
    await away.close()
    await database.close()


async def test_a_worker_writes_and_goes_on(database: Database) -> None:
    tally = Tally()
    worker = asyncio.create_task(tally.keep_writing(database, interval=0.05))
    with tally.request(CITY, STREAM) as counts:
        counts.accepted = 7
    async with asyncio.timeout(10):
        while await _minutes(database) != [(1, 7)]:  # noqa: ASYNC110 - another connection writes
            await asyncio.sleep(0.02)
    worker.cancel()


def test_a_request_that_raises_has_failed() -> None:
    tally = Tally()
    with pytest.raises(KeyError), tally.request(CITY, STREAM):
        raise KeyError
    with tally.request(CITY, STREAM) as counts:
        counts.rejected = 1
    total = tally.totals[CITY, STREAM]
    assert (total.requests, total.failed, total.rejected) == (2, 1, 1)
    assert total.seconds < 1
    assert Counts() == Counts(0, 0, 0, 0, 0, 0.0)


async def test_batches_and_bytes(services: Services, actor: Actor) -> None:
    await permits.ingest(services, actor, [text(eventId=str(n), permitId=str(n)) for n in range(40)])
    heads = await services.log.head(actor, STREAM)
    await _seal(services.database, 0, 0, 10, sealed_after=2)
    await _seal(services.database, 1, 0, heads[1], sealed_after=4)
    found = await pipelines.measure(services, actor, STREAM)
    assert (found.sealed.batches, found.sealed.events) == (2, 10 + heads[1])
    assert found.sealed.events_per_batch == (10 + heads[1]) / 2
    assert found.sealed.average_seconds == pytest.approx(3)
    assert found.sealed.max_seconds == pytest.approx(4)
    assert (found.objects, found.stored_bytes, found.raw_bytes) == (2, 200, 2000)
    await _seal(services.database, 0, 10, 12)
    many = await asyncio.gather(*(pipelines.measure(services, actor, STREAM) for _ in range(5)))
    assert {(one.objects, one.stored_bytes) for one in many} == {(3, 300)}, "each object is summed once"
    assert (await pipelines.measure(services, actor, STREAM)).objects == 3
    past = pipelines.time_range(
        since=datetime.now(UTC) - timedelta(days=2), until=datetime.now(UTC) - timedelta(days=1)
    )
    earlier = await pipelines.measure(services, actor, STREAM, past)
    assert (earlier.sealed.batches, earlier.sealed.events_per_batch, earlier.objects) == (0, None, 3)


async def test_neither_the_manifest_nor_the_log_is_read_whole(services: Services, actor: Actor, dsn: str) -> None:
    await permits.ingest(services, actor, [text(eventId=str(n), permitId=str(n)) for n in range(1000)])
    async with services.database.transaction(CITY) as transaction:
        await transaction.execute(
            "INSERT INTO lakefront.lake_objects SELECT $1, $2, shard, n, n + 1, shard || '-' || n, 'gzip', "
            "repeat('a', 64), 100, 1000, 1, now() - make_interval(hours => n), now() - make_interval(hours => n), "
            "now(), now() FROM generate_series(0, 2000) AS n, generate_series(0, 1) AS shard",
            *(CITY, STREAM),
        )
    connection = await asyncpg.connect(dsn)
    await connection.execute("ANALYZE lakefront.lake_objects, lakefront.events")
    await connection.close()
    span = pipelines.time_range()
    async with services.database.transaction(CITY) as transaction:
        values = (CITY, STREAM, span.since, span.until, span.step, [0, 1], [5, 5], ["permits", "lake"])
        plan = [row[0] for row in await transaction.fetch(f"EXPLAIN {pipelines._MEASURE}", *values)]
    bounds = [line for line in plan if "Index Cond" in line]
    for bound in ("from_offset >=", '"offset" =', "sealed_at >="):
        assert any(bound in line for line in bounds), (bound, plan)


async def test_lag_is_what_was_not_taken_in(services: Services, actor: Actor) -> None:
    await permits.ingest(services, actor, [text(eventId=str(n), permitId=str(n)) for n in range(10)])
    head = await services.log.head(actor, STREAM)
    async with asyncio.timeout(20):
        while True:
            permits_lag, lake_lag = (await pipelines.measure(services, actor, STREAM)).lag
            if permits_lag.events == 0:
                break
            await asyncio.sleep(0.05)
    assert permits_lag.seconds == 0
    assert lake_lag.events == 10
    assert lake_lag.seconds > 0
    async with services.database.transaction(CITY) as transaction:
        for shard, until in head.items():
            await transaction.execute(
                "INSERT INTO lakefront.consumer_offsets VALUES ($1, 'lake', $2, $3, $4)", CITY, STREAM, shard, until
            )
    _, lake_lag = (await pipelines.measure(services, actor, STREAM)).lag
    assert (lake_lag.events, lake_lag.seconds) == (0, 0.0)


async def test_who_may_ask_and_for_what(services: Services, actor: Actor) -> None:
    with pytest.raises(NotFound, match="sf-permit-events"):
        await pipelines.measure(services, actor, "sf-permits")
    with pytest.raises(NotFound, match="sf-permit-events"):
        await pipelines.measure_shared(services, actor, "sf-permits")
    for name in ("\x00", "sf\x00permits", "\ud800", "x" * 500_000):
        with pytest.raises(NotFound, match="sf-permit-events"):
            await pipelines.measure(services, actor, name)
        with pytest.raises(NotFound, match="sf-permit-events"):
            await pipelines.measure_shared(services, actor, name)
    away = replace(services, database=Database("postgresql://localhost:1/nothing"))
    await away.database.open()
    for number in range(3):
        with pytest.raises(Unavailable):
            await pipelines.measure(away, actor, f"made-up-{number}")
    await away.database.close()
    await asyncio.sleep(0)
    assert not services.meters._sums
    assert not services.meters._answers
    for role in ("reader", "service", "ingest"):
        with pytest.raises(Forbidden):
            await pipelines.measure(services, of_role(role), STREAM)
    monitor = of_role("monitor")
    assert (await pipelines.measure(services, monitor, STREAM)).stream == STREAM
    elsewhere = of_role("admin", "other")
    await permits.ingest(services, actor, [text()])
    assert (await pipelines.measure(services, elsewhere, STREAM)).intake.requests == 0


def test_ranges() -> None:
    now = datetime.now(UTC)
    hour = pipelines.time_range()
    assert hour.since.second == hour.since.microsecond == 0
    assert hour.seconds == pytest.approx(3600, abs=60)
    assert pipelines.time_range(minutes=1440).step == 900
    assert pipelines.time_range(minutes=30 * 1440).step == 21_600
    later = pipelines.time_range(since=now - timedelta(hours=2), until=now + timedelta(hours=1))
    assert later.until - now < timedelta(seconds=5), "it ends now at the latest"
    moment = now.replace(second=30, microsecond=0) - timedelta(hours=1)
    narrow = pipelines.time_range(since=moment, until=moment + timedelta(microseconds=1))
    assert (narrow.since, narrow.seconds) == (moment.replace(second=0), 60), "both ends are full minutes"
    whole = pipelines.time_range(since=narrow.since, until=narrow.until)
    assert whole == narrow, "a full minute stays as it is"
    assert pipelines.time_range(since=moment, until=datetime.max.replace(tzinfo=UTC)).until >= now
    for minutes in (0, -1, 30 * 1440 + 1):
        with pytest.raises(ValidationError):
            pipelines.time_range(minutes=minutes)
    for since, until in (
        (now + timedelta(hours=1), None),
        (now - timedelta(hours=1), now - timedelta(hours=2)),
        (now - timedelta(days=31), None),
        (now, datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))),
    ):
        with pytest.raises(ValidationError):
            pipelines.time_range(since=since, until=until)
    with pytest.raises(ValidationError):
        pipelines.time_range(minutes=5, since=now - timedelta(hours=1))


async def test_watching_wakes_when_a_batch_was_sealed(services: Services, actor: Actor) -> None:
    async with asyncio.timeout(20), aclosing(pipelines.watch(services, actor, STREAM, every=60)) as watching:
        assert (await anext(watching)).objects == 0
        upcoming = asyncio.ensure_future(anext(watching))
        await asyncio.sleep(0.1)
        assert not upcoming.done()
        await permits.ingest(services, actor, [text(eventId=str(n)) for n in range(3)])
        await _seal(services.database, 0, 0, 1)
        services.meters.sealed(f"{CITY}|elsewhere")
        await asyncio.sleep(0.05)
        assert not upcoming.done()
        services.meters.sealed(f"{CITY}|{STREAM}")
        found = await upcoming
        assert (found.objects, found.intake.accepted) == (1, 3)


async def test_watching_keeps_its_pace_and_shares_its_work(services: Services, actor: Actor) -> None:
    async def two() -> list[pipelines.PipelineMetrics]:
        async with aclosing(pipelines.watch(services, actor, STREAM, every=1)) as watching:
            return [await anext(watching), await anext(watching)]

    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(20):
        first, *others = await asyncio.gather(*(two() for _ in range(20)))
    assert asyncio.get_running_loop().time() - started >= 1
    assert all(other[0] is first[0] for other in others), "one computation for all"
    assert first[0] is not first[1]


@pytest.mark.parametrize("every", [0, 61, -1])
async def test_a_pace_out_of_bounds_is_refused(services: Services, actor: Actor, every: int) -> None:
    with pytest.raises(ValidationError):
        await anext(pipelines.watch(services, actor, STREAM, every=every))
