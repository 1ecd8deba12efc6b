"""Quotas at the doors: a day's events, a full store, a day's requests; cheap, and never past the plan (T5)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lakefront.actor import Actor
from lakefront.db.database import Database
from lakefront.domain import permits
from lakefront.domain.services import Services
from lakefront.domain.tenants.allowances import FRESH, STORAGE_RETRY
from lakefront.domain.tenants.subscriptions import change_plan
from lakefront.domain.tenants.usage import usage
from lakefront.errors import RateLimited, ValidationError
from lakefront.settings import Settings
from tests.domain.permits.events import text
from tests.domain.tenants.subscribed import Clock, batch, bound, subscribe
from tests.domain.tenants.test_usage import store
from tests.graphql.conftest import RecordingDatabase


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def acme(provisioner: Database) -> Actor:
    return await subscribe(provisioner, events=20, requests=5, storage=1000)


@contextmanager
def refused(field: str = "", limit: int = 0, remaining: int = 0) -> Iterator[list[float]]:
    """Holds if the block is rate limited, by that quota if given; gives the seconds after which to come again."""
    seconds: list[float] = []
    with pytest.raises(RateLimited) as caught:
        yield seconds
    assert caught.value.retry_after is not None
    [told] = caught.value.details
    assert told["message"] == caught.value.message
    if field:
        assert (told["field"], told["limit"], told["remaining"]) == (field, limit, remaining)
    seconds.append(caught.value.retry_after)


async def test_a_days_events_pass_and_no_more(services: Services, acme: Actor) -> None:
    services = bound(services)
    await permits.ingest(services, acme, batch(0, 15))
    with refused() as seconds:
        await permits.ingest(services, acme, batch(15, 6))
    assert (await permits.ingest(services, acme, batch(15, 5))).accepted == 5
    await asyncio.sleep(FRESH + 0.1)
    with refused("daily_events", 20) as seconds:
        await permits.ingest(services, acme, batch(20, 1))
    assert 0 < seconds[0] <= 86_400
    assert (await usage(services, acme)).events.remaining == 0
    assert (await permits.ingest(services, acme, batch(0, 30), dry_run=True)).accepted == 10


async def test_one_process_never_goes_over_however_many_come_at_once(services: Services, acme: Actor) -> None:
    services = bound(services)

    async def send(number: int) -> int:
        try:
            return (await permits.ingest(services, acme, batch(number * 3, 3))).accepted
        except RateLimited:
            return 0

    assert sum(await asyncio.gather(*(send(number) for number in range(40)))) == 18
    await services.allowances.reading(services.database, "acme", exact=True)
    assert (await permits.ingest(services, acme, batch(500, 2))).accepted == 2
    assert (await usage(services, acme)).events.used == 20


async def test_what_did_not_come_in_is_given_back(services: Services, acme: Actor) -> None:
    services = bound(services)
    for _ in range(5):
        with pytest.raises(ValidationError):
            await permits.ingest(services, acme, [text(permitId=...)] * 12)
    await permits.ingest(services, acme, batch(0, 10))
    for _ in range(5):
        assert (await permits.ingest(services, acme, batch(0, 10))).duplicates == 10
    assert (await permits.ingest(services, acme, batch(10, 10))).accepted == 10


async def test_other_requests_may_be_using_the_rest(services: Services, acme: Actor) -> None:
    """What is under way, and may yet fail, is a reason to come again in a second, not at midnight."""
    services = bound(services)
    under_way = await services.allowances.admit(services, acme, 15)
    with refused("daily_events", 20, 5) as seconds:
        await services.allowances.admit(services, acme, 6)
    assert seconds == [FRESH]
    under_way.settle(0)
    (await services.allowances.admit(services, acme, 20)).settle(0)


async def test_two_servers_know_of_each_other_after_a_second(services: Services, acme: Actor) -> None:
    one, other = bound(services), bound(services)
    await permits.ingest(other, acme, batch(100, 1))
    await permits.ingest(one, acme, batch(0, 19))
    await asyncio.sleep(FRESH + 0.1)
    with refused():
        await permits.ingest(other, acme, batch(200, 1))


async def test_ingest_asks_postgres_once_a_second(services: Services, acme: Actor, dsn: str) -> None:
    recorder = RecordingDatabase(dsn)
    await recorder.open()
    services = replace(bound(services), database=recorder)
    loop = asyncio.get_running_loop()
    await services.allowances.admit(services, acme, 0)
    recorder.statements.clear()
    began = loop.time()
    while loop.time() - began < 1.5:
        await asyncio.gather(*(services.allowances.admit(services, acme, 0) for _ in range(20)))
        await services.allowances.take_request(services, replace(acme, tenant="city"))
        await asyncio.sleep(0.005)
    await recorder.close()
    readings = [statement.args for statement in recorder.statements if "tenant_subscriptions" in statement.query]
    assert 1 <= sum(values[0] == "acme" for values in readings) <= 2
    assert 1 <= sum(values[0] == "city" for values in readings) <= 4


async def test_a_full_store_takes_nothing_in(services: Services, acme: Actor, dsn: str) -> None:
    services = bound(services)
    await store(dsn, "acme", 0, range(1), 999)
    await permits.ingest(services, acme, batch(0, 4))
    await store(dsn, "acme", 0, range(1, 2), 1)
    await services.allowances.reading(services.database, "acme", exact=True)
    with refused("storage_bytes", 1000) as seconds:
        await permits.ingest(services, acme, batch(4, 1))
    assert seconds == [STORAGE_RETRY]
    assert services.allowances.refused == {"storage": 1}


async def test_midnight_lets_events_in_again(services: Services, acme: Actor, dsn: str) -> None:
    clock = Clock()
    services = bound(services, clock=clock)
    await permits.ingest(services, acme, batch(0, 20))
    await services.allowances.reading(services.database, "acme", exact=True)
    with refused() as seconds:
        await permits.ingest(services, acme, batch(20, 1))
    clock.ahead = timedelta(seconds=seconds[0])
    assert (await permits.ingest(services, acme, batch(20, 20))).accepted == 20
    connection = await asyncpg.connect(dsn)
    counted = await connection.fetch(
        "SELECT usage_date, events_before FROM tenants.tenant_usage_quotas WHERE tenant_id = 'acme' ORDER BY 1"
    )
    await connection.close()
    today = datetime.now(UTC).date()
    assert [tuple(row) for row in counted] == [(today, 0), (today + timedelta(days=1), 20)]


async def test_a_days_requests_are_counted_exactly(services: Services, acme: Actor, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as one, Redis.from_url(redis_url) as other:
        servers = [bound(services, redis=one), bound(services, redis=other)]
        answers = await asyncio.gather(
            *(server.allowances.take_request(server, acme) for server in servers * 15),
            return_exceptions=True,
        )
        assert answers.count(None) == 5
        assert sum(isinstance(answer, RateLimited) for answer in answers) == 25
        assert [(await usage(server, acme)).requests.used for server in servers] == [5, 5]


async def test_requests_begin_anew_at_midnight(services: Services, acme: Actor, redis: Redis) -> None:
    clock = Clock()
    services = bound(services, redis=redis, clock=clock)
    for _ in range(5):
        await services.allowances.take_request(services, acme)
    with refused("daily_requests", 5) as seconds:
        await services.allowances.take_request(services, acme)
    clock.ahead = timedelta(seconds=seconds[0])
    await services.allowances.take_request(services, acme)
    assert (await usage(services, acme)).requests.used == 1


async def test_without_redis_requests_are_counted_by_the_process(
    services: Services, acme: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    async with Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)) as nowhere:
        services = bound(services, redis=nowhere)
        with caplog.at_level(logging.WARNING):
            for _ in range(5):
                await services.allowances.take_request(services, acme)
        with refused():
            await services.allowances.take_request(services, acme)
        assert (await usage(services, acme)).requests.used == 5
        assert caplog.messages == ["Redis is away: daily requests are kept by this process alone until it is back"]


async def test_the_city_is_not_bound(services: Services, actor: Actor, redis: Redis) -> None:
    services = bound(services, redis=redis)
    for _ in range(20):
        await services.allowances.take_request(services, actor)
    assert await redis.keys("lakefront:daily:*") == []
    assert (await permits.ingest(services, actor, batch(0, 50))).accepted == 50


async def test_switched_off_nothing_is_refused(services: Services, acme: Actor) -> None:
    services = replace(bound(services), settings=Settings(rate_limits="off"))
    assert (await permits.ingest(services, acme, batch(0, 50))).accepted == 50
    for _ in range(20):
        await services.allowances.take_request(services, acme)
    assert (await usage(services, acme)).events.used == 50


async def test_a_new_plan_is_known_to_other_servers_within_a_second(
    services: Services, acme: Actor, actor: Actor
) -> None:
    one, other = bound(services), bound(services)
    await permits.ingest(other, acme, batch(0, 15))
    await change_plan(one, actor, "acme", "BASIC")
    await asyncio.sleep(FRESH)
    assert (await permits.ingest(other, acme, batch(15, 50))).accepted == 50


async def test_while_postgres_is_away_requests_pass_to_what_does_not_need_it(services: Services, acme: Actor) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    await nowhere.open()
    try:
        services = replace(bound(services), database=nowhere)
        await services.allowances.take_request(services, acme)
    finally:
        await nowhere.close()


async def test_past_the_quota_what_was_taken_in_is_told_again(services: Services, acme: Actor) -> None:
    services = bound(services)
    first = await permits.ingest(services, acme, batch(0, 20), idempotency_key="k")
    assert first.accepted == 20
    await asyncio.sleep(FRESH + 0.1)
    assert await permits.ingest(services, acme, batch(0, 20), idempotency_key="k") == first
    with refused():
        await permits.ingest(services, acme, batch(20, 1), idempotency_key="l")
