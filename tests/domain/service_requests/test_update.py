"""Staff's changes: what they may, to whom the rest belongs, and what is told of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lakefront.actor import Actor
from lakefront.domain.service_requests import ServiceRequest, State, UpdateInput, find, submit, update
from lakefront.domain.services import Services
from lakefront.errors import Conflict, Forbidden, IdempotencyConflict, NotFound, ValidationError
from lakefront.simulator import Simulator
from tests.domain.outbox.outside import rows
from tests.domain.service_requests.desk import ADA, NEW_YORK, STAFF, changes, filed, filing, reach


@pytest.fixture
async def waiting(desk: Services, actor: Actor, simulator: Simulator) -> ServiceRequest:
    """A request that nobody files."""
    await reach(desk, actor, simulator, "nyc311", "v1")
    return (await submit(desk, ADA, NEW_YORK)).service_request


@pytest.fixture
async def opened(desk: Services, actor: Actor, simulator: Simulator) -> ServiceRequest:
    """A request that the city has."""
    await reach(desk, actor, simulator, "nyc311", "v1")
    async with filing(desk):
        return await filed(desk, NEW_YORK)


async def test_a_change_is_a_version_and_no_change_is_none(desk: Services, opened: ServiceRequest) -> None:
    given = UpdateInput(request_id=opened.request_id, state=State.IN_PROGRESS, agency_name="Transportation")
    made = (await update(desk, STAFF, given, trace_id="b" * 32)).service_request
    assert (made.state, made.agency_name, made.version) == (State.IN_PROGRESS, "Transportation", opened.version + 1)
    assert (await update(desk, STAFF, given)).service_request == made
    assert (await changes(desk, made.request_id))[-1] == (3, "service_request_changed", "staff", "IN_PROGRESS")
    [(by, fields, trace)] = await rows(
        desk.database,
        "SELECT changed_by, fields, trace_id FROM lakefront.service_request_changes WHERE version = 3",
    )
    assert (by, sorted(fields), trace) == ("sam", ["agency_name", "state"], "b" * 32)


async def test_a_request_ends_and_is_opened_again(desk: Services, opened: ServiceRequest) -> None:
    closed = UpdateInput(request_id=opened.request_id, state=State.CLOSED, resolution="Filled")
    made = (await update(desk, STAFF, closed)).service_request
    assert made.closed_at is not None
    assert made.resolution_at is not None
    made = (await update(desk, STAFF, UpdateInput(request_id=opened.request_id, state=State.OPEN))).service_request
    assert (made.state, made.closed_at) == (State.OPEN, None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"state": State.PENDING_EXTERNAL}, "OPEN, and cannot become PENDING_EXTERNAL.*CLOSED, IN_PROGRESS, REJECTED"),
        ({"state": State.UNCERTAIN}, "cannot become UNCERTAIN"),
        ({"description": "Another"}, "The city has this request"),
        ({"agency": "DSNY"}, "The city has this request"),
        ({"external_id": "12"}, "UNCERTAIN"),
        ({"version": 1, "state": State.CLOSED}, "has the version 2"),
    ],
)
async def test_what_is_the_citys_is_not_changed_here(
    desk: Services, opened: ServiceRequest, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(Conflict, match=says):
        await update(desk, STAFF, UpdateInput(request_id=opened.request_id, **given))
    assert (await find(desk, STAFF, opened.request_id)).version == opened.version


async def test_before_it_is_filed_it_can_be_corrected(desk: Services, waiting: ServiceRequest) -> None:
    given = UpdateInput(request_id=waiting.request_id, description="Two potholes", agency="DEP", version=1)
    made = (await update(desk, STAFF, given)).service_request
    assert (made.description, made.agency, made.version) == ("Two potholes", "DEP", 2)
    with pytest.raises(Conflict, match="From there it can go to REJECTED"):
        await update(desk, STAFF, UpdateInput(request_id=waiting.request_id, state=State.CLOSED))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"description": " "}, "description"),
        ({"agency": "x" * 201}, "agency"),
        ({"resolution": "a\0"}, "resolution"),
        ({"expected_at": datetime(9999, 12, 31, tzinfo=UTC)}, "expectedAt"),
    ],
)
async def test_values_that_nobody_could_read_are_refused(
    desk: Services, waiting: ServiceRequest, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        await update(desk, STAFF, UpdateInput(request_id=waiting.request_id, **given))
    assert refused.value.details[0]["field"] == field


async def test_only_staff_changes_and_only_what_is_there(desk: Services, waiting: ServiceRequest) -> None:
    with pytest.raises(Forbidden):
        await update(desk, ADA, UpdateInput(request_id=waiting.request_id, state=State.REJECTED))
    with pytest.raises(NotFound):
        await update(desk, STAFF, UpdateInput(request_id="sr-nothing", state=State.REJECTED))


async def test_a_dry_run_tells_and_a_key_changes_once(desk: Services, waiting: ServiceRequest) -> None:
    given = UpdateInput(request_id=waiting.request_id, state=State.REJECTED)
    would = await update(desk, STAFF, given, dry_run=True)
    assert would.report is not None
    assert (would.report.changes, would.report.outside_calls) == (1, 0)
    assert (await find(desk, STAFF, waiting.request_id)) == waiting
    made = await update(desk, STAFF, given, idempotency_key="k")
    assert await update(desk, STAFF, given, idempotency_key="k") == made
    with pytest.raises(IdempotencyConflict):
        await update(desk, STAFF, UpdateInput(request_id=waiting.request_id, agency="DEP"), idempotency_key="k")
    assert len(await changes(desk, waiting.request_id)) == 2
