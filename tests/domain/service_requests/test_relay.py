"""The log is told of each change once, in the order of a request's changes, whoever dies in between."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from lakefront.actor import Actor
from lakefront.domain.service_requests import STREAM, Record, Relay, State, UpdateInput, record, update
from lakefront.domain.service_requests.relay import LOCK
from lakefront.domain.services import Services
from lakefront.errors import ValidationError
from lakefront.eventlog.events import Event
from lakefront.eventlog.lake.locks import Locks
from tests.domain.outbox.outside import rows, until
from tests.domain.service_requests.desk import STAFF

PUBLISHED = Record(
    provider="nyc311",
    city="nyc",
    unique_key="1",
    reported_at=datetime(2026, 5, 1, tzinfo=UTC),
    updated_at=datetime(2026, 5, 2, tzinfo=UTC),
    external_status="Open",
    complaint_type="Rodent",
)
ID = "nyc311-1"


@pytest.fixture
async def locks(dsn: str) -> AsyncIterator[Locks]:
    made = Locks(dsn)
    yield made
    await made.close()


@pytest.fixture
def relay(services: Services, locks: Locks) -> Relay:
    return Relay(services, locks, poll=0.05)


async def events(services: Services, actor: Actor) -> Sequence[Event]:
    return (await services.log.read(actor, STREAM, {})).events


async def waiting(services: Services) -> int:
    [(count,)] = await rows(services.database, "SELECT count(*) FROM lakefront.service_request_relay")
    return int(count)


async def test_the_log_is_told_of_each_change(services: Services, actor: Actor, relay: Relay) -> None:
    await record(services, actor, [PUBLISHED], trace_id="c" * 32)
    await update(services, STAFF, UpdateInput(request_id=ID, state=State.CLOSED))
    assert not await relay.step()
    first, second = await events(services, actor)
    assert (first.event_id, first.event_type, first.partition_key, first.trace_id) == (
        *(f"{ID}:1", "service_request_recorded"),
        *(ID, "c" * 32),
    )
    assert (second.event_id, second.event_type) == (f"{ID}:2", "service_request_closed")
    assert second.payload["state"] == "CLOSED"
    assert second.payload["previousState"] == "OPEN"
    assert second.payload["cause"] == "staff"
    assert second.payload["changed"] == ["closedAt", "state"]
    assert await waiting(services) == 0


async def test_killed_before_it_could_say_so_it_tells_nothing_twice(
    services: Services, actor: Actor, locks: Locks, relay: Relay
) -> None:
    await record(services, actor, [PUBLISHED])

    class Dying:
        """The log; whoever appends to it dies of it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(services.log, name)

        async def append(self, *given: Any, **options: Any) -> None:
            await services.log.append(*given, **options)
            raise asyncio.CancelledError

    with suppress(asyncio.CancelledError):
        await Relay(replace(services, log=Dying()), locks, poll=1.0).step()  # type: ignore[arg-type]
    assert await waiting(services) == 1
    assert len(await events(services, actor)) == 1
    await relay.step()
    assert await waiting(services) == 0
    assert len(await events(services, actor)) == 1


async def test_one_of_all_servers_tells(services: Services, actor: Actor, dsn: str, relay: Relay) -> None:
    await record(services, actor, [PUBLISHED])
    other = Locks(dsn)
    async with other.hold(LOCK) as held:
        assert held
        assert not await relay.step()
        assert await waiting(services) == 1
    await relay.step()
    assert await waiting(services) == 0
    await other.close()


async def test_tenants_have_their_own_logs(services: Services, actor: Actor, relay: Relay) -> None:
    other = replace(actor, tenant="other")
    await record(services, actor, [PUBLISHED])
    await record(services, other, [PUBLISHED, msgspec.structs.replace(PUBLISHED, unique_key="2")])
    await relay.step()
    assert len(await events(services, actor)) == 1
    assert len(await events(services, other)) == 2


async def test_it_runs_by_itself_whenever_it_is_told(services: Services, actor: Actor, locks: Locks) -> None:
    relay = Relay(services, locks, poll=60.0)
    running = asyncio.create_task(relay.run())
    try:
        for version in range(3):
            at = datetime(2026, 5, 3 + version, tzinfo=UTC)
            told = msgspec.structs.replace(PUBLISHED, updated_at=at, descriptor=f"{version} rats")
            await record(services, actor, [told])
            relay.notice("city")

        async def told_all() -> bool:
            return len(await events(services, actor)) == 3

        await until(told_all)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [event.event_id for event in await events(services, actor)] == [f"{ID}:{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("why", [ValidationError("not this one"), KeyError("unforeseen")])
async def test_a_log_that_refuses_holds_up_its_own_tenant_alone(
    services: Services, actor: Actor, locks: Locks, why: Exception
) -> None:
    other = replace(actor, tenant="other")
    await record(services, actor, [PUBLISHED])
    await record(services, other, [PUBLISHED])

    class Refusing:
        """The log; of one tenant it takes nothing."""

        async def append(self, who: Actor, *given: Any) -> Any:
            if who.tenant == "city":
                raise why
            return await services.log.append(who, *given)

    assert not await Relay(replace(services, log=Refusing()), locks, poll=1.0).step()  # type: ignore[arg-type]
    assert (await events(services, actor), len(await events(services, other))) == ([], 1)
