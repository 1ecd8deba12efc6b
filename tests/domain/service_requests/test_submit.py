"""Submitting: one request, its caller and its job together, checked against the city's system, once for a key."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from lakefront.actor import Actor
from lakefront.domain.service_requests import CallerInput, Origin, State, SubmitInput, find, submit
from lakefront.domain.services import Services
from lakefront.errors import (
    Forbidden,
    IdempotencyConflict,
    NotConfigured,
    NotFound,
    ValidationError,
)
from lakefront.simulator import Simulator
from tests.domain.outbox.outside import rows
from tests.domain.service_requests.desk import (
    ADA,
    BOB,
    BOSTON,
    NEW_YORK,
    STAFF,
    callers,
    changes,
    reach,
    tickets,
)


@pytest.fixture
async def new_york(desk: Services, actor: Actor, simulator: Simulator) -> Services:
    await reach(desk, actor, simulator, "nyc311", "v1")
    return desk


async def counted(desk: Services) -> list[int]:
    """Requests, changes, callers, jobs, and what the log is not told yet."""
    tables = ("service_requests", "service_request_changes", "service_request_callers", "outbox")
    found = []
    for table in (*tables, "service_request_relay"):
        [(count,)] = await rows(desk.database, f"SELECT count(*) FROM lakefront.{table}")
        found.append(int(count))
    return found


async def test_a_request_is_stored_with_its_caller_and_its_job(new_york: Services, simulator: Simulator) -> None:
    made = (await submit(new_york, ADA, NEW_YORK, trace_id="a" * 32)).service_request
    assert (made.state, made.source, made.owner, made.provider) == (
        *(State.PENDING_EXTERNAL, Origin.LAKEFRONT),
        *("ada", "nyc311"),
    )
    assert made.request_id.startswith("sr-")
    assert len(made.request_id) == 23
    assert (made.version, made.trace_id, made.channel) == (1, "a" * 32, "LAKEFRONT")
    assert await find(new_york, ADA, made.request_id) == made
    assert await counted(new_york) == [1, 1, 1, 1, 1]
    assert await changes(new_york, made.request_id) == [(1, "service_request_submitted", "owner", "PENDING_EXTERNAL")]
    [(payload, kind)] = await rows(new_york.database, "SELECT payload, kind FROM lakefront.outbox")
    assert (payload, kind) == ({"request_id": made.request_id, "version": 1}, "service_request.submit")
    assert tickets(simulator) == []


async def test_nothing_personal_is_told_to_the_log(new_york: Services) -> None:
    await submit(new_york, ADA, NEW_YORK)
    [(payload,)] = await rows(new_york.database, "SELECT payload FROM lakefront.service_request_changes")
    told = str(payload)
    for word in ("pothole", "Broadway", "Jane", "Doe", "2125551234", "40.7", "ada"):
        assert word not in told
    assert payload["complaintType"] == "Street Condition"
    assert "description" in payload["changed"]


async def test_a_dry_run_tells_what_would_be_and_leaves_nothing(new_york: Services) -> None:
    would = await submit(new_york, ADA, NEW_YORK, dry_run=True, idempotency_key="k")
    assert would.report is not None
    assert (would.report.changes, would.report.outside_calls) == (1, 1)
    assert would.service_request.state is State.PENDING_EXTERNAL
    assert await counted(new_york) == [0, 0, 0, 0, 0]


async def test_a_key_gives_the_same_request_and_takes_no_other_body(new_york: Services) -> None:
    first = await submit(new_york, ADA, NEW_YORK, idempotency_key="k")
    again = await submit(new_york, ADA, NEW_YORK, idempotency_key="k")
    assert again == first
    assert await counted(new_york) == [1, 1, 1, 1, 1]
    with pytest.raises(IdempotencyConflict):
        await submit(new_york, ADA, msgspec.structs.replace(NEW_YORK, address="5 Elm St"), idempotency_key="k")
    assert (await submit(new_york, BOB, NEW_YORK, idempotency_key="k")).service_request.owner == "bob"
    [(result,)] = await rows(new_york.database, "SELECT result FROM lakefront.idempotency_keys WHERE subject = 'ada'")
    assert result == first.service_request.request_id


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"agency": None}, "agency"),
        ({"address": None}, "address"),
        ({"description": " "}, "description"),
        ({"description": "x" * 4001}, "description"),
        ({"address": "a\0b"}, "address"),
        ({"address": "a" * 201}, "address"),
        ({"latitude": None}, "latitude"),
        ({"latitude": 91.0}, "latitude"),
        ({"media_url": "javascript:alert(1)"}, "mediaUrl"),
        ({"city": "nowhere"}, "city"),
        ({"city": "No City\0"}, "city"),
        ({"provider": "sendgrid"}, "provider"),
        ({"attributes": {"SIZE": ("x" * 1001,)}}, "attributes"),
        ({"notify": True, "caller": None}, "notify"),
        ({"notify": True, "caller": CallerInput(first_name="Jane", email="")}, "notify"),
        ({"notify": True, "caller": CallerInput(email="jane at example")}, "caller.email"),
        ({"notify": True, "caller": CallerInput(phone="2125551234")}, "caller.phone"),
    ],
)
async def test_what_no_city_would_take_is_refused_at_once(
    new_york: Services, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        await submit(new_york, ADA, msgspec.structs.replace(NEW_YORK, **given))
    assert refused.value.details[0]["field"] == field
    assert await counted(new_york) == [0, 0, 0, 0, 0]


async def test_a_city_that_takes_none_says_so_and_what_would_do(
    desk: Services, actor: Actor, simulator: Simulator
) -> None:
    with pytest.raises(NotConfigured, match="A 311 system of nyc is not set up here"):
        await submit(desk, ADA, NEW_YORK)
    await reach(desk, actor, simulator, "nyc311", "public")
    with pytest.raises(NotConfigured, match=r"only tells where they stand.*nyc311 to v1, or up open311"):
        await submit(desk, ADA, NEW_YORK)
    with pytest.raises(NotConfigured):
        await submit(desk, ADA, msgspec.structs.replace(NEW_YORK, provider="open311"))


async def test_of_several_systems_the_safest_is_taken(desk: Services, actor: Actor, simulator: Simulator) -> None:
    await reach(desk, actor, simulator, "nyc311", "v1")
    await reach(desk, actor, simulator, "open311", "v2")
    given = msgspec.structs.replace(NEW_YORK, service_code="002")
    assert (await submit(desk, ADA, given)).service_request.provider == "open311"
    named = msgspec.structs.replace(given, provider="nyc311")
    assert (await submit(desk, ADA, named)).service_request.provider == "nyc311"
    with pytest.raises(ValidationError, match="service_code"):
        await submit(desk, ADA, NEW_YORK)


async def test_tests_go_only_where_they_are_known(desk: Services, actor: Actor, simulator: Simulator) -> None:
    await reach(desk, actor, simulator, "open311", "v2")
    with pytest.raises(ValidationError, match="knows no tests"):
        await submit(desk, ADA, msgspec.structs.replace(BOSTON, test=True))


async def test_citizens_see_their_own_alone(new_york: Services) -> None:
    made = (await submit(new_york, ADA, NEW_YORK)).service_request
    assert await find(new_york, STAFF, made.request_id) == made
    with pytest.raises(NotFound):
        await find(new_york, BOB, made.request_id)
    with pytest.raises(NotFound):
        await find(new_york, replace(STAFF, tenant="other"), made.request_id)
    with pytest.raises(NotFound):
        await find(new_york, ADA, "sr-\0")
    with pytest.raises(Forbidden):
        await find(new_york, replace(ADA, subject=""), made.request_id)
    with pytest.raises(Forbidden):
        await submit(new_york, STAFF, NEW_YORK)


async def test_the_database_itself_holds_citizens_to_their_own(new_york: Services) -> None:
    await submit(new_york, ADA, NEW_YORK)
    for table in ("service_requests", "service_request_changes"):
        for subject, seen in (("ada", 1), ("bob", 0), ("", 1)):
            async with new_york.database.transaction("city", subject=subject) as transaction:
                assert len(await transaction.fetch(f"SELECT FROM lakefront.{table}")) == seen
        async with new_york.database.transaction("other") as transaction:
            assert await transaction.fetch(f"SELECT FROM lakefront.{table}") == []


async def test_reprs_show_nobody(new_york: Services) -> None:
    made = await submit(new_york, ADA, NEW_YORK)
    for word in ("pothole", "Broadway", "Jane"):
        assert word not in repr(made) + repr(NEW_YORK) + repr(NEW_YORK.caller)
    assert await callers(new_york) == 1


def test_unknown_members_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"city": "nyc", "description": "x", "tenant_id": "other"}, SubmitInput)
