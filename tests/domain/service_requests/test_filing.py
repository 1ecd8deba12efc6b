"""Filing with a city: each request becomes one ticket, or is there for a person to see; whatever fails in between."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from lakefront.actor import Actor
from lakefront.domain.integrations import IntegrationInput, upsert
from lakefront.domain.service_requests import Filing, ServiceRequest, State, UpdateInput, find, submit, update
from lakefront.domain.service_requests.filing import adapter_of, new_request
from lakefront.domain.services import Services
from lakefront.simulator import Fault, Kind, Simulator
from tests.domain.outbox.outside import QUICK, rows, until, working
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
    reached,
    tickets,
)

SUBMITTING = {
    ("nyc311", "v1"): (NEW_YORK, "POST /311/v1/service-requests"),
    ("open311", "v2"): (BOSTON, "POST /open311/v2/requests.*"),
    ("open311", "v2-xml"): (BOSTON, "POST /open311/v2/requests.*"),
    ("la311", "v1"): (ANGELES, "POST /myla311/v1/servicerequests"),
}
"""Every way of filing: what is reported, and the route that files it."""

AFTER = (Kind.RESET_AFTER, Kind.RESET_DURING, Kind.ERROR_AFTER, Kind.MALFORMED, Kind.CONTENT_TYPE)
"""Faults of which the ticket is filed all the same."""


async def letters(desk: Services) -> list[tuple[Any, ...]]:
    found = await rows(desk.database, "SELECT state, uncertain, error_code FROM lakefront.dead_letters")
    return [tuple(row) for row in found]


async def job_is(desk: Services, state: str) -> bool:
    [(found,)] = await rows(desk.database, "SELECT state FROM lakefront.outbox")
    return bool(found == state)


async def there(simulator: Simulator) -> bool:
    return bool(tickets(simulator))


@pytest.mark.parametrize(("provider", "version"), SUBMITTING)
async def test_a_city_takes_it_and_the_caller_is_forgotten(
    desk: Services, actor: Actor, simulator: Simulator, provider: str, version: str
) -> None:
    await reach(desk, actor, simulator, provider, version)
    given, _ = SUBMITTING[provider, version]
    async with filing(desk):
        request = await filed(desk, given)
    [ticket] = tickets(simulator)
    assert request.external_id == ticket.id
    assert request.filed_at is not None
    assert request.error_code is None
    assert await callers(desk) == 0
    assert await changes(desk, request.request_id) == [
        (1, "service_request_submitted", "owner", "PENDING_EXTERNAL"),
        (2, "service_request_filed", "city", "OPEN"),
    ]
    assert given.caller is None or "Jane" in str(ticket.sent)


@pytest.mark.parametrize("kind", [Kind.RESET_BEFORE, Kind.ERROR, Kind.THROTTLE])
async def test_what_was_not_done_is_done_again(desk: Services, actor: Actor, simulator: Simulator, kind: Kind) -> None:
    await reach(desk, actor, simulator, "open311", "v2")
    given, route = SUBMITTING["open311", "v2"]
    simulator.faults.add(Fault(kind=kind, route=route, times=2, seconds=0.05))
    async with filing(desk):
        await filed(desk, given)
    assert len(tickets(simulator)) == 1


@pytest.mark.parametrize("kind", AFTER)
@pytest.mark.parametrize(("provider", "version"), [("open311", "v2"), ("open311", "v2-xml"), ("la311", "v1")])
async def test_what_went_through_unseen_is_found_and_not_filed_twice(
    desk: Services, actor: Actor, simulator: Simulator, kind: Kind, provider: str, version: str
) -> None:
    await reach(desk, actor, simulator, provider, version)
    given, route = SUBMITTING[provider, version]
    simulator.faults.add(Fault(kind=kind, route=route, times=1))
    async with filing(desk):
        request = await filed(desk, given)
    [ticket] = tickets(simulator)
    assert request.external_id == ticket.id
    assert await letters(desk) == []


@pytest.mark.parametrize("kind", [*AFTER, Kind.RESET_BEFORE])
async def test_where_nobody_can_look_it_is_left_to_a_person(
    desk: Services, actor: Actor, simulator: Simulator, kind: Kind
) -> None:
    await reach(desk, actor, simulator, "nyc311", "v1")
    given, route = SUBMITTING["nyc311", "v1"]
    simulator.faults.add(Fault(kind=kind, route=route))
    async with filing(desk):
        request = await filed(desk, given, ADA, State.UNCERTAIN)
    assert len(tickets(simulator)) == (0 if kind is Kind.RESET_BEFORE else 1)
    assert request.error_code == "upstream_uncertain"
    assert "updateServiceRequest" in (request.error_message or "")
    assert await letters(desk) == [("WAITING", True, "upstream_uncertain")]
    assert await callers(desk) == 1


async def test_a_person_enters_the_number_that_was_found(desk: Services, actor: Actor, simulator: Simulator) -> None:
    await reach(desk, actor, simulator, "nyc311", "v1")
    given, route = SUBMITTING["nyc311", "v1"]
    simulator.faults.add(Fault(kind=Kind.RESET_AFTER, route=route, times=1))
    async with filing(desk):
        request = await filed(desk, given, ADA, State.UNCERTAIN)
        [ticket] = tickets(simulator)
        made = await update(desk, STAFF, UpdateInput(request_id=request.request_id, external_id=ticket.id))
    assert made.service_request.state is State.OPEN
    assert made.service_request.external_id == ticket.id
    assert made.service_request.error_code is None
    assert await callers(desk) == 0


async def test_a_person_has_it_filed_again(desk: Services, actor: Actor, simulator: Simulator) -> None:
    await reach(desk, actor, simulator, "nyc311", "v1")
    given, route = SUBMITTING["nyc311", "v1"]
    simulator.faults.add(Fault(kind=Kind.RESET_BEFORE, route=route, times=1))
    async with filing(desk):
        request = await filed(desk, given, ADA, State.UNCERTAIN)
        await update(desk, STAFF, UpdateInput(request_id=request.request_id, state=State.PENDING_EXTERNAL))
        request = await reached(desk, request, State.OPEN)
    [ticket] = tickets(simulator)
    assert request.external_id == ticket.id


async def test_what_the_city_refuses_is_rejected_and_can_be_corrected(
    desk: Services, actor: Actor, simulator: Simulator
) -> None:
    await reach(desk, actor, simulator, "nyc311", "v1")
    async with filing(desk):
        wrong = msgspec.structs.replace(NEW_YORK, agency="NOBODY")
        request = await filed(desk, wrong, ADA, State.REJECTED)
        assert request.error_code == "upstream_rejected"
        assert await letters(desk) == [("WAITING", False, "upstream_rejected")]
        again = UpdateInput(request_id=request.request_id, agency="DOT", state=State.PENDING_EXTERNAL)
        await update(desk, STAFF, again)
        request = await reached(desk, request, State.OPEN)
    assert request.agency == "DOT"
    assert len(tickets(simulator)) == 1


async def test_while_a_city_is_away_the_request_waits(desk: Services, actor: Actor, simulator: Simulator) -> None:
    await reach(desk, actor, simulator, "open311", "v2")
    [away, *_] = [each for each in simulator.endpoints() if (each["provider"], each["city"]) == ("open311", "bos")]
    await upsert(desk, actor, IntegrationInput(**away | {"base_url": "http://127.0.0.1:1"}))
    desk.endpoints.changed()
    made = await submit(desk, ADA, BOSTON)
    async with working(desk, None, Filing(), pace=replace(QUICK, retry_for=0.05, replay_after=0.5)):
        await until(lambda: job_is(desk, "DEAD"))
        waiting = await find(desk, STAFF, made.service_request.request_id)
        assert waiting.state is State.PENDING_EXTERNAL
        assert waiting.error_code is not None
        await reach(desk, actor, simulator, "open311", "v2")
        request = await reached(desk, made, State.OPEN)
    assert request.error_code is None
    assert len(tickets(simulator)) == 1


async def test_what_was_withdrawn_in_time_is_not_filed(desk: Services, actor: Actor, simulator: Simulator) -> None:
    await reach(desk, actor, simulator, "nyc311", "v1")
    made = (await submit(desk, ADA, NEW_YORK)).service_request
    await update(desk, STAFF, UpdateInput(request_id=made.request_id, state=State.REJECTED))
    async with filing(desk):
        await until(lambda: job_is(desk, "DONE"))
    assert tickets(simulator) == []
    assert (await find(desk, ADA, made.request_id)).state is State.REJECTED
    assert await callers(desk) == 0


@pytest.mark.parametrize(("provider", "version"), [("open311", "v2"), ("la311", "v1")])
async def test_what_was_withdrawn_too_late_shows_that_the_city_has_it(
    desk: Services, actor: Actor, simulator: Simulator, provider: str, version: str
) -> None:
    await reach(desk, actor, simulator, provider, version)
    given, route = SUBMITTING[provider, version]
    simulator.faults.add(Fault(kind=Kind.LOST, route=route, times=1, seconds=0.6))
    made = (await submit(desk, ADA, given)).service_request
    async with filing(desk):
        await until(lambda: there(simulator))
    await update(desk, STAFF, UpdateInput(request_id=made.request_id, state=State.REJECTED))
    async with filing(desk):
        request = await reached(desk, made, State.OPEN)
    assert request.external_id == tickets(simulator)[0].id
    assert len(tickets(simulator)) == 1


async def test_what_was_corrected_after_it_went_through_unseen_is_found(
    desk: Services, actor: Actor, simulator: Simulator
) -> None:
    await reach(desk, actor, simulator, "la311", "v1")
    made = (await submit(desk, ADA, ANGELES)).service_request
    adapter = await adapter_of(desk, "city", "la311", "la")
    await adapter.submit(new_request(made, ANGELES.caller))
    await update(desk, STAFF, UpdateInput(request_id=made.request_id, description="Two sofas"))
    async with filing(desk):
        request = await reached(desk, made, State.OPEN, State.REJECTED)
    assert (request.state, request.external_id) == (State.OPEN, tickets(simulator)[0].id)
    assert len(tickets(simulator)) == 1


@pytest.mark.parametrize(("provider", "version"), SUBMITTING)
async def test_a_worker_that_is_killed_while_it_files_leaves_one_ticket(
    desk: Services, actor: Actor, simulator: Simulator, provider: str, version: str
) -> None:
    await reach(desk, actor, simulator, provider, version)
    given, route = SUBMITTING[provider, version]
    simulator.faults.add(Fault(kind=Kind.LOST, route=route, times=1, seconds=0.6))
    made = await submit(desk, ADA, given)
    async with filing(desk):
        await until(lambda: there(simulator))
    ended = State.UNCERTAIN if provider == "nyc311" else State.OPEN
    async with filing(desk):
        await reached(desk, made, ended)
    assert len(tickets(simulator)) == 1


async def test_nothing_personal_is_in_letters_or_logs(
    desk: Services, actor: Actor, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="lakefront")
    await reach(desk, actor, simulator, "nyc311", "v1")
    simulator.faults.add(Fault(kind=Kind.ERROR_AFTER, route=SUBMITTING["nyc311", "v1"][1]))
    async with filing(desk):
        await filed(desk, NEW_YORK, ADA, State.UNCERTAIN)
    found = await rows(desk.database, "SELECT d::text FROM lakefront.dead_letters d")
    found += await rows(desk.database, "SELECT o::text FROM lakefront.outbox o")
    found += await rows(desk.database, "SELECT c.payload::text FROM lakefront.service_request_changes c")
    told = caplog.text + "".join(str(row[0]) for row in found)
    for word in ("pothole", "Broadway", "Jane", "Doe", "2125551234", "example.org"):
        assert word not in told


async def test_a_token_becomes_a_number_when_somebody_asks(desk: Services, actor: Actor, simulator: Simulator) -> None:
    await reach(desk, actor, simulator, "open311", "v2")
    async with filing(desk):
        request: ServiceRequest = await filed(desk, LATER)
    assert request.external_id is None
    assert request.external_token is not None
    assert request.filed_at is not None
    assert timedelta(0) <= request.filed_at - request.reported_at < timedelta(minutes=1)


async def test_an_integration_that_is_switched_off_makes_requests_wait(
    desk: Services, actor: Actor, simulator: Simulator
) -> None:
    await reach(desk, actor, simulator, "nyc311", "v1")
    made = await submit(desk, ADA, NEW_YORK)
    await upsert(desk, actor, IntegrationInput(provider="nyc311", city="nyc", enabled=False))
    desk.endpoints.changed()
    async with filing(desk):
        await until(lambda: job_is(desk, "DEAD"))
    waiting = await find(desk, STAFF, made.service_request.request_id)
    assert (waiting.state, waiting.error_code) == (State.PENDING_EXTERNAL, "not_configured")
