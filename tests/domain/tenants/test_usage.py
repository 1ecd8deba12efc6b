"""What a tenant has used of its plan: right whoever asks, at midnight, and with many asking at once (T5)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from lakefront.actor import CITY, Actor, system_actor
from lakefront.db.database import Database
from lakefront.domain import permits
from lakefront.domain.services import Services
from lakefront.domain.tenants.reading import make_day
from lakefront.domain.tenants.usage import Use, start_pipeline, usage
from lakefront.errors import Forbidden, NotFound, RateLimited
from lakefront.settings import Settings
from tests.domain.tenants.subscribed import Clock, batch, bound, subscribe


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def acme(provisioner: Database) -> Actor:
    return await subscribe(provisioner, events=1000, requests=10, storage=10_000)


async def move(dsn: str, tenant: str, by: timedelta) -> None:
    """Let all that the log has of the tenant have arrived earlier."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "UPDATE lakefront.events SET ingested_at = ingested_at - $2::interval WHERE tenant_id = $1", tenant, by
    )
    await connection.close()


async def store(dsn: str, tenant: str, shard: int, offsets: range, size: int) -> None:
    """Enter an object into the manifest."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO lakefront.lake_objects VALUES "
        "($1, 'sf-permit-events', $2, $3, $4, $5, 'gzip', repeat('0', 64), $6, 1, 1, now(), now(), now(), now())",
        *(tenant, shard, offsets.start, offsets.stop, f"{shard}/{offsets.start}", size),
    )
    await connection.close()


async def take(services: Services, actor: Actor) -> int:
    async with services.database.transaction(actor.tenant) as transaction:
        return await start_pipeline(services, transaction, actor)


async def test_a_new_tenant_has_used_nothing(services: Services, acme: Actor) -> None:
    services = bound(services)
    found = await usage(services, acme)
    today = datetime.now(UTC).date()
    assert (found.tenant_id, found.plan, found.date) == ("acme", "FREE", today)
    assert found.resets_at.isoformat() == f"{today + timedelta(days=1)}T00:00:00+00:00"
    assert (found.pipelines, found.events, found.requests) == (Use(0, 3), Use(0, 1000), Use(0, 10))
    assert found.storage_bytes == Use(0, 10_000)
    assert found.events.remaining == 1000


async def test_what_comes_in_is_used_at_once(services: Services, acme: Actor, redis: Redis, dsn: str) -> None:
    services = bound(services, redis=redis)
    await permits.ingest(services, acme, batch(0, 7))
    await permits.ingest(services, acme, batch(5, 4))  # two of them are duplicates
    await permits.ingest(services, acme, batch(100, 5), dry_run=True)
    for _ in range(3):
        await services.allowances.take_request(services, acme)
    await take(services, acme)
    found = await usage(services, acme)
    assert (found.events.used, found.requests.used, found.pipelines.used) == (9, 3, 1)
    for number, size in enumerate([100, 20, 3]):
        await store(dsn, "acme", number % 2, range(number, number + 1), size)
        assert (await usage(services, acme)).storage_bytes.used == [100, 120, 123][number]
    fresh = bound(services, redis=redis)
    assert replace(await usage(fresh, acme), date=found.date) == await usage(services, acme)


async def test_the_city_has_no_quotas(services: Services, actor: Actor) -> None:
    found = await usage(bound(services), actor)
    assert (found.plan, found.pipelines) == ("ENTERPRISE", Use(0, 100))
    assert (found.events, found.requests, found.storage_bytes) == (Use(0, None), Use(None, None), Use(0, None))
    assert found.events.remaining is None


async def test_ones_own_needs_a_scope_and_anothers_the_citys_administrator(
    services: Services, acme: Actor, actor: Actor
) -> None:
    assert (await usage(services, actor, "acme")).tenant_id == "acme"
    assert (await usage(services, replace(acme, scopes=frozenset({"tenant:read"})), "acme")).tenant_id == "acme"
    everything = frozenset({*acme.scopes, "tenants:manage"})
    for asking, tenant in [
        (replace(acme, scopes=frozenset({"permits:read"})), None),
        (replace(acme, scopes=everything), CITY),
        (replace(actor, scopes=frozenset({"tenant:read"})), "acme"),
    ]:
        with pytest.raises(Forbidden):
            await usage(services, asking, tenant)
    for unknown in ("nobody", "", "a\0b", "\ud800"):
        with pytest.raises(NotFound):
            await usage(services, actor, unknown)


async def test_midnight_begins_anew_though_nobody_was_awake(services: Services, acme: Actor) -> None:
    clock = Clock()
    services = bound(services, clock=clock)
    await permits.ingest(services, acme, batch(0, 5))
    await take(services, acme)
    assert (await usage(services, acme)).events.used == 5
    clock.ahead = timedelta(days=2)  # the day between has no row at all
    await permits.ingest(services, acme, batch(5, 3))
    found = await usage(services, acme)
    assert (found.events.used, found.pipelines.used) == (3, 0)
    assert found.date == (datetime.now(UTC) + timedelta(days=2)).date()


async def test_a_day_whose_row_comes_late_has_the_events_from_before_it(
    services: Services, acme: Actor, dsn: str
) -> None:
    """Quotas were off while events came in, so that nobody made the day's row; then somebody asks."""
    await permits.ingest(services, acme, batch(0, 9))
    await move(dsn, "acme", timedelta(days=1))
    await permits.ingest(services, acme, batch(9, 4))
    assert (await usage(bound(services), acme)).events.used == 4


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=st.lists(st.lists(st.integers(-5, 5), max_size=12).map(sorted), min_size=1, max_size=4))
async def test_the_days_beginning_is_found_in_every_shard(
    provisioner: Database, dsn: str, arrivals: list[list[int]]
) -> None:
    """Whatever the shards have, the row counts what arrived before midnight; seconds around it."""
    day = datetime(2024, 1, 15, tzinfo=UTC)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("TRUNCATE lakefront.heads, lakefront.events, tenants.tenant_usage_quotas")
        for shard, seconds in enumerate(arrivals):
            await connection.execute(
                "INSERT INTO lakefront.heads (tenant_id, stream, shard, layout, next) VALUES ('acme', 's', $1, 1, $2)",
                *(shard, len(seconds)),
            )
            for offset, second in enumerate(seconds):
                await connection.execute(
                    "INSERT INTO lakefront.events VALUES ('acme', 's', $1, $2, $3, 't', 'k', $4, $4, '{}', '', '', "
                    "'1', 'test')",
                    *(shard, offset, f"{shard}-{offset}", day + timedelta(seconds=second)),
                )
        async with provisioner.transaction("acme") as transaction:
            await transaction.execute("SET LOCAL ROLE lakefront_app")
            await make_day(transaction, "acme", day.date())
            await make_day(transaction, "acme", day.date())
        rows = await connection.fetch("SELECT events_before FROM tenants.tenant_usage_quotas")
    finally:
        await connection.close()
    assert [row["events_before"] for row in rows] == [sum(second < 0 for shard in arrivals for second in shard)]


async def test_no_more_pipelines_start_than_a_day_has(services: Services, acme: Actor, dsn: str) -> None:
    """Fifty at once, through two pools, as two servers would."""
    del acme
    provisioner = services.provisioner
    ten = await subscribe(provisioner, "ten", plan="BASIC", pipelines=10)
    other = Database(dsn, pool_size=10)
    await other.open()
    servers = [bound(services), bound(replace(services, database=other))]
    try:
        answers = await asyncio.gather(*(take(servers[n % 2], ten) for n in range(50)), return_exceptions=True)
    finally:
        await other.close()
    assert sorted(answer for answer in answers if isinstance(answer, int)) == list(range(1, 11))
    refused = [answer for answer in answers if isinstance(answer, RateLimited)]
    assert len(refused) == 40
    assert 0 < (refused[0].retry_after or 0) <= 86_400
    [told] = refused[0].details
    assert (told["field"], told["limit"], told["remaining"]) == ("daily_pipelines", 10, 0)
    assert (await usage(servers[0], ten)).pipelines == Use(10, 10)


async def test_a_pipeline_is_taken_only_if_its_transaction_commits(services: Services, acme: Actor) -> None:
    services = bound(services)

    async def fail() -> None:
        async with services.database.transaction("acme") as transaction:
            await start_pipeline(services, transaction, acme)
            raise RuntimeError("the run could not be entered")

    for _ in range(5):
        with pytest.raises(RuntimeError):
            await fail()
    answers = await asyncio.gather(
        *(job for _ in range(5) for job in (fail(), take(services, acme))), return_exceptions=True
    )
    assert sorted(answer for answer in answers if isinstance(answer, int)) == [1, 2, 3]


async def test_retry_after_is_the_time_to_midnight(services: Services, acme: Actor) -> None:
    clock = Clock()
    services = bound(services, clock=clock)
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    clock.ahead = midnight - now - timedelta(seconds=90)
    for _ in range(3):
        await take(services, acme)
    with pytest.raises(RateLimited) as caught:
        await take(services, acme)
    assert 80 < (caught.value.retry_after or 0) <= 90
    clock.ahead += timedelta(seconds=91)
    assert await take(services, acme) == 1


async def test_switched_off_pipelines_are_counted_and_not_refused(services: Services, acme: Actor) -> None:
    services = replace(bound(services), settings=Settings(rate_limits="off"))
    assert [await take(services, acme) for _ in range(5)] == [1, 2, 3, 4, 5]


async def test_a_tenant_without_a_plan_starts_nothing(services: Services) -> None:
    services = bound(services)
    stranger = system_actor("stranger")
    for attempt in (take(services, stranger), permits.ingest(services, stranger, batch(0, 1))):
        with pytest.raises(Forbidden):
            await attempt
