"""Where requests stand is asked after about once an hour, by one server for all, at the provider's pace."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from lakefront.actor import Actor
from lakefront.domain.service_requests import Poller, ServiceRequest, State, UpdateInput, find, submit, update
from lakefront.domain.service_requests.poller import LOCK
from lakefront.domain.services import Services
from lakefront.eventlog.lake.locks import Locks
from lakefront.simulator import Fault, Kind, Simulator
from lakefront.simulator.tickets import Fate, Stage
from tests.domain.outbox.outside import rows, until
from tests.domain.service_requests.desk import (
    ADA,
    ANGELES,
    BOSTON,
    LATER,
    NEW_YORK,
    STAFF,
    callers,
    changes,
    filed,
    filing,
    reach,
    tickets,
)


@pytest.fixture
async def locks(dsn: str) -> AsyncIterator[Locks]:
    made = Locks(dsn)
    yield made
    await made.close()


@pytest.fixture
def poller(desk: Services, locks: Locks) -> Poller:
    """Whose hour is no time at all."""
    return Poller(desk, locks, interval=0.001, pause=0.001, look=0.01)


async def age(desk: Services, hours: float) -> None:
    """Let every request have been asked after so long ago."""
    async with desk.database.transaction("city") as transaction:
        await transaction.execute(
            "UPDATE lakefront.service_requests SET checked_at = now() - $1::interval", timedelta(hours=hours)
        )


@pytest.fixture
async def opened(desk: Services, actor: Actor, simulator: Simulator) -> ServiceRequest:
    """A request that New York has."""
    await reach(desk, actor, simulator, "nyc311", "v1")
    async with filing(desk):
        return await filed(desk, NEW_YORK)


async def test_what_the_city_says_is_followed_to_its_end(
    desk: Services, simulator: Simulator, poller: Poller, opened: ServiceRequest
) -> None:
    [ticket] = tickets(simulator)
    await poller.step()
    same = await find(desk, STAFF, opened.request_id)
    assert same.version == opened.version
    assert same.checked_at is not None
    assert opened.checked_at is not None
    assert same.checked_at > opened.checked_at
    simulator.tickets.decide(ticket, Stage.IN_PROGRESS, "Somebody is on the way.")
    await poller.step()
    assert (await find(desk, STAFF, opened.request_id)).state is State.IN_PROGRESS
    simulator.tickets.decide(ticket, Stage.CLOSED, "Filled.")
    await poller.step()
    closed = await find(desk, STAFF, opened.request_id)
    assert (closed.state, closed.resolution, closed.external_status) == (State.CLOSED, "Filled.", "Closed")
    assert closed.closed_at is not None
    assert [kind for _, kind, *_ in await changes(desk, opened.request_id)][2:] == [
        "service_request_changed",
        "service_request_closed",
    ]
    asked = simulator.journal.tallies["nyc311"].received
    assert not await poller.step()
    assert simulator.journal.tallies["nyc311"].received == asked
    assert desk.meters.polled == {"nyc311": 3}


@pytest.mark.parametrize("provider", ["open311", "la311"])
async def test_every_city_is_asked_in_its_own_way(
    desk: Services, actor: Actor, simulator: Simulator, poller: Poller, provider: str
) -> None:
    await reach(desk, actor, simulator, provider, "v2" if provider == "open311" else "v1")
    async with filing(desk):
        request = await filed(desk, BOSTON if provider == "open311" else ANGELES)
    simulator.tickets.decide(tickets(simulator)[0], Stage.CLOSED, "Done.")
    await poller.step()
    assert (await find(desk, STAFF, request.request_id)).state is State.CLOSED


async def test_a_token_becomes_a_number(desk: Services, actor: Actor, simulator: Simulator, poller: Poller) -> None:
    await reach(desk, actor, simulator, "open311", "v2")
    async with filing(desk):
        request = await filed(desk, LATER)
    await poller.step()
    assert (await find(desk, STAFF, request.request_id)).external_id is None
    simulator.clock.advance(60)
    await poller.step()
    assert (await find(desk, STAFF, request.request_id)).external_id == tickets(simulator)[0].id


async def test_what_has_no_name_at_the_city_cannot_be_asked_after_and_is_not_behind(
    desk: Services, actor: Actor, simulator: Simulator, poller: Poller
) -> None:
    await reach(desk, actor, simulator, "open311", "v2")
    async with filing(desk):
        request = await filed(desk, type(BOSTON)(city="bos", description="x", service_code="008", address="1 Main St"))
    assert (request.external_id, request.external_token) == (None, None)
    await age(desk, 5)
    asked = simulator.journal.tallies["open311"].received
    await poller.step()
    await poller.step()
    assert simulator.journal.tallies["open311"].received == asked
    assert desk.meters.poller_lag["open311"] < 3600


async def test_the_lag_is_that_of_the_request_that_waits_longest(
    desk: Services, poller: Poller, opened: ServiceRequest, simulator: Simulator
) -> None:
    await age(desk, 4)
    simulator.faults.add(Fault(kind=Kind.RESET_BEFORE, system="nyc311"))
    await poller.step()
    assert desk.meters.poller_lag["nyc311"] == pytest.approx(4 * 3600, abs=60)
    unasked = await find(desk, STAFF, opened.request_id)
    assert unasked.state is State.OPEN
    assert unasked.version == opened.version


async def test_one_of_all_servers_asks(
    desk: Services, dsn: str, poller: Poller, opened: ServiceRequest, simulator: Simulator
) -> None:
    other, asked = Locks(dsn), simulator.journal.tallies["nyc311"].received
    async with other.hold(LOCK) as held:
        assert held
        await poller.step()
    assert simulator.journal.tallies["nyc311"].received == asked
    assert "nyc311" in desk.meters.poller_lag  # whoever asks, all know how far it is behind
    await other.close()


async def test_a_provider_is_asked_at_its_pace_and_not_before_the_hour(
    desk: Services, actor: Actor, simulator: Simulator, locks: Locks
) -> None:
    await reach(desk, actor, simulator, "nyc311", "v1")
    async with filing(desk):
        for _ in range(3):
            await filed(desk, NEW_YORK)
    patient = Poller(desk, locks, interval=3600, pause=0.1)
    asked = simulator.journal.tallies["nyc311"].received
    await patient.step()
    assert simulator.journal.tallies["nyc311"].received == asked
    await age(desk, 2)
    started = time.monotonic()
    await patient.step()
    assert time.monotonic() - started >= 0.3
    assert simulator.journal.tallies["nyc311"].received == asked + 3


async def test_what_the_city_does_not_know_says_so_and_holds_up_nobody(
    desk: Services, poller: Poller, opened: ServiceRequest
) -> None:
    async with filing(desk):
        second = await filed(desk, NEW_YORK)
    async with desk.database.transaction("city") as transaction:
        await transaction.execute(
            "UPDATE lakefront.service_requests SET external_id = 'NYC311-0' WHERE request_id = $1", opened.request_id
        )
    await poller.step()
    unknown, known = [await find(desk, STAFF, each.request_id) for each in (opened, second)]
    assert (unknown.state, unknown.error_code) == (State.OPEN, "not_found")
    assert unknown.checked_at is not None
    assert known.error_code is None
    await poller.step()
    assert (await find(desk, STAFF, opened.request_id)).version == unknown.version


async def test_what_staff_decided_is_not_moved_back(
    desk: Services, simulator: Simulator, poller: Poller, opened: ServiceRequest
) -> None:
    await update(desk, STAFF, UpdateInput(request_id=opened.request_id, state=State.IN_PROGRESS))
    await poller.step()
    assert (await find(desk, STAFF, opened.request_id)).state is State.IN_PROGRESS
    simulator.tickets.decide(tickets(simulator)[0], Stage.CANCELLED, "A duplicate.")
    await poller.step()
    assert (await find(desk, STAFF, opened.request_id)).state is State.REJECTED


async def test_what_the_city_ended_before_its_number_was_entered_ends(
    desk: Services, actor: Actor, simulator: Simulator, poller: Poller
) -> None:
    await reach(desk, actor, simulator, "nyc311", "v1")
    simulator.faults.add(Fault(kind=Kind.RESET_AFTER, times=1))
    async with filing(desk):
        uncertain = await filed(desk, NEW_YORK, ADA, State.UNCERTAIN)
    [ticket] = tickets(simulator)
    ticket.fate = Fate(Stage.CLOSED, "Mended.", datetime.now(UTC) - timedelta(hours=3))
    await update(desk, STAFF, UpdateInput(request_id=uncertain.request_id, external_id=ticket.id))
    await poller.step()
    assert (await find(desk, STAFF, uncertain.request_id)).state is State.CLOSED


async def test_a_city_whose_clock_is_far_ahead_is_heard_again(
    desk: Services, simulator: Simulator, poller: Poller, opened: ServiceRequest
) -> None:
    [ticket] = tickets(simulator)
    ticket.fate = Fate(Stage.IN_PROGRESS, "Soon.", datetime(2999, 1, 1, tzinfo=UTC))
    await poller.step()
    simulator.tickets.decide(ticket, Stage.CLOSED, "Mended.")
    await poller.step()
    assert (await find(desk, STAFF, opened.request_id)).state is State.CLOSED


async def test_a_request_that_breaks_its_question_holds_up_no_other(
    desk: Services,
    simulator: Simulator,
    poller: Poller,
    opened: ServiceRequest,
    dsn: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with filing(desk):
        second = await filed(desk, NEW_YORK)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "ALTER TABLE lakefront.service_requests ADD CHECK "
            f"(request_id <> '{opened.request_id}' OR external_status IS NOT DISTINCT FROM '{opened.external_status}')"
        )
    finally:
        await connection.close()
    for ticket in tickets(simulator):
        simulator.tickets.decide(ticket, Stage.IN_PROGRESS, "Somebody is on the way.")
    with caplog.at_level(logging.INFO):
        await poller.step()
    assert (await find(desk, STAFF, second.request_id)).state is State.IN_PROGRESS
    assert (await find(desk, STAFF, opened.request_id)).state is State.OPEN
    assert "CheckViolationError" in caplog.text
    assert "Broadway" not in caplog.text


async def test_whoever_takes_over_goes_on_where_it_stood(
    desk: Services, locks: Locks, opened: ServiceRequest, simulator: Simulator
) -> None:
    async with filing(desk):
        for _ in range(3):
            await filed(desk, NEW_YORK)
    await age(desk, 2)
    asked = simulator.journal.tallies["nyc311"].received

    async def asked_for(number: int) -> bool:
        return simulator.journal.tallies["nyc311"].received >= asked + number

    async def done() -> bool:
        found = await rows(
            desk.database, "SELECT FROM lakefront.service_requests WHERE checked_at < now() - interval '1 h'"
        )
        return not found

    killed = asyncio.create_task(Poller(desk, locks, interval=3600, pause=0.2).run())
    await until(lambda: asked_for(2))
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    running = asyncio.create_task(Poller(desk, locks, interval=3600, pause=0.01).run())
    try:
        await until(done)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert simulator.journal.tallies["nyc311"].received <= asked + 5


async def test_after_a_month_nobody_knows_who_reported_what_was_never_filed(
    desk: Services, actor: Actor, simulator: Simulator, poller: Poller
) -> None:
    await reach(desk, actor, simulator, "nyc311", "v1")
    await submit(desk, ADA, NEW_YORK)
    await submit(desk, ADA, NEW_YORK)
    connection = desk.database
    async with connection.transaction("city") as transaction:
        await transaction.execute(
            "WITH old AS (DELETE FROM lakefront.service_request_callers WHERE request_id = "
            "(SELECT min(request_id) FROM lakefront.service_request_callers) RETURNING *) "
            "INSERT INTO lakefront.service_request_callers SELECT tenant_id, request_id || 'x', first_name, last_name, "
            "phone, email, created_at - interval '31 days' FROM old"
        )
    await poller.step()
    assert await callers(desk) == 1
