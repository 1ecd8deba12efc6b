"""Published requests: a row each, the newest word on it, however often and in whatever order they come."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from lakefront.actor import Actor
from lakefront.domain.service_requests import Origin, Record, RecordOutcome, State, UpdateInput, find, record, update
from lakefront.domain.service_requests.record import MOST
from lakefront.domain.services import Services
from lakefront.errors import Forbidden, PayloadTooLarge
from tests.domain.outbox.outside import rows
from tests.domain.service_requests.desk import ADA, STAFF, changes

START = datetime(2011, 3, 1, tzinfo=UTC)
OLD = Record(
    provider="nyc311",
    city="nyc",
    unique_key="19938191",
    reported_at=START,
    updated_at=START + timedelta(hours=1),
    external_status="Open",
    complaint_type="Rodent",
    borough="BROOKLYN",
    latitude=40.5,
    longitude=-73.9,
)
NEW = msgspec.structs.replace(
    OLD, updated_at=START + timedelta(hours=2), external_status="Closed", closed_at=START + timedelta(hours=2)
)
ID = "nyc311-19938191"


async def outcomes(services: Services, actor: Actor, *records: Record, **options: Any) -> list[RecordOutcome]:
    return [verdict.outcome for verdict in (await record(services, actor, records, **options)).verdicts]


async def test_a_row_is_recorded_once_and_changed_by_newer_ones_alone(services: Services, actor: Actor) -> None:
    assert await outcomes(services, actor, OLD) == [RecordOutcome.CREATED]
    made = await find(services, STAFF, ID)
    assert (made.state, made.source, made.owner, made.external_id) == (State.OPEN, Origin.OPEN_DATA, None, "19938191")
    assert await outcomes(services, actor, OLD) == [RecordOutcome.UNCHANGED]
    assert await outcomes(services, actor, NEW) == [RecordOutcome.CHANGED]
    assert await outcomes(services, actor, OLD) == [RecordOutcome.OLDER]
    now = await find(services, STAFF, ID)
    assert (now.state, now.version, now.closed_at) == (State.CLOSED, 2, START + timedelta(hours=2))
    assert await changes(services, ID) == [
        (1, "service_request_recorded", "publisher", "OPEN"),
        (2, "service_request_closed", "publisher", "CLOSED"),
    ]


async def test_one_batch_may_tell_of_a_request_several_times(services: Services, actor: Actor) -> None:
    found = await outcomes(services, actor, NEW, OLD, NEW, msgspec.structs.replace(OLD, unique_key="2"))
    assert found == [RecordOutcome.CREATED, RecordOutcome.OLDER, RecordOutcome.UNCHANGED, RecordOutcome.CREATED]
    assert len(await changes(services, ID)) == 1


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_the_order_and_the_batches_the_newest_row_stands(
    services: Services, actor: Actor, seed: int
) -> None:
    told = [
        msgspec.structs.replace(OLD, updated_at=START + timedelta(hours=hour), external_status=status)
        for hour, status in enumerate(["Open", "Assigned", "Closed", "Open", "Closed", "Started", "Cancelled"])
    ]
    mixed = [*told, *told]
    Random(seed).shuffle(mixed)
    cut = 1 + seed * 2
    for part in (mixed[:cut], mixed[cut:]):
        await record(services, actor, part)
    now = await find(services, STAFF, ID)
    assert (now.state, now.told_at, now.external_status) == (State.REJECTED, START + timedelta(hours=6), "Cancelled")


async def test_without_a_time_of_change_later_dates_are_newer(services: Services, actor: Actor) -> None:
    old, new = (msgspec.structs.replace(each, updated_at=None) for each in (OLD, NEW))
    assert await outcomes(services, actor, new, old) == [RecordOutcome.CREATED, RecordOutcome.OLDER]


@pytest.mark.parametrize("turned", [False, True])
async def test_of_two_rows_of_one_time_one_stands_as_a_whole_whatever_the_order(
    services: Services, actor: Actor, turned: bool
) -> None:
    told = [msgspec.structs.replace(OLD, updated_at=NEW.updated_at), NEW]
    for _ in range(2):
        await record(services, actor, told[::-1] if turned else told)
    now = await find(services, STAFF, ID)
    assert (now.state, now.external_status, now.closed_at) == (State.CLOSED, "Closed", NEW.closed_at)
    assert len(await changes(services, ID)) == 1


async def test_a_date_in_the_future_keeps_no_later_word_out(services: Services, actor: Actor) -> None:
    await record(services, actor, [msgspec.structs.replace(OLD, updated_at=datetime(2999, 1, 1, tzinfo=UTC))])
    assert await outcomes(services, actor, msgspec.structs.replace(NEW, updated_at=datetime.now(UTC))) == [
        RecordOutcome.CHANGED
    ]


async def test_a_number_that_two_providers_make_up_is_one_of_them(services: Services, actor: Actor) -> None:
    await record(services, actor, [msgspec.structs.replace(OLD, provider="nyc311-a", unique_key="1")])
    other = msgspec.structs.replace(NEW, unique_key="a-1")
    assert await outcomes(services, actor, other) == [RecordOutcome.REJECTED]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"unique_key": " "}, "uniqueKey"),
        ({"unique_key": "1\0"}, "uniqueKey"),
        ({"longitude": None}, "latitude"),
        ({"latitude": float("nan")}, "latitude"),
        ({"borough": "x" * 201}, "borough"),
        ({"city": "No City"}, "city"),
        ({"reported_at": datetime(2011, 3, 1)}, "reportedAt"),  # noqa: DTZ001 - that is what is wrong with it
    ],
)
async def test_a_bad_row_keeps_no_other_out(
    services: Services, actor: Actor, given: dict[str, Any], field: str
) -> None:
    wrong = msgspec.structs.replace(OLD, **given)
    found = (await record(services, actor, [wrong, msgspec.structs.replace(OLD, unique_key="2")])).verdicts
    assert [verdict.outcome for verdict in found] == [RecordOutcome.REJECTED, RecordOutcome.CREATED]
    assert (found[0].index, found[0].field) == (0, field)
    assert found[0].reason


async def test_the_number_of_another_city_is_not_taken_over(services: Services, actor: Actor) -> None:
    await record(services, actor, [OLD])
    assert await outcomes(services, actor, msgspec.structs.replace(NEW, city="bos")) == [RecordOutcome.REJECTED]


async def test_a_dry_run_tells_and_leaves_nothing(services: Services, actor: Actor) -> None:
    assert await outcomes(services, actor, OLD, dry_run=True) == [RecordOutcome.CREATED]
    assert await rows(services.database, "SELECT FROM lakefront.service_requests") == []


async def test_what_is_told_again_as_it_was_makes_no_version(services: Services, actor: Actor) -> None:
    await record(services, actor, [OLD])
    again = msgspec.structs.replace(OLD, updated_at=START + timedelta(hours=3))
    assert await outcomes(services, actor, again) == [RecordOutcome.UNCHANGED]
    assert await outcomes(services, actor, NEW) == [RecordOutcome.OLDER]
    assert (await find(services, STAFF, ID)).version == 1


async def test_staff_corrects_until_the_publisher_says_something_newer(services: Services, actor: Actor) -> None:
    await record(services, actor, [OLD])
    await update(services, STAFF, UpdateInput(request_id=ID, state=State.CLOSED))
    assert await outcomes(services, actor, NEW) == [RecordOutcome.OLDER]
    newer = msgspec.structs.replace(OLD, updated_at=datetime.now(UTC) + timedelta(seconds=1))
    assert await outcomes(services, actor, newer) == [RecordOutcome.CHANGED]
    assert (await find(services, STAFF, ID)).state is State.OPEN


async def test_only_who_may_change_requests_records_and_not_too_many(services: Services, actor: Actor) -> None:
    with pytest.raises(Forbidden):
        await record(services, ADA, [OLD])
    with pytest.raises(PayloadTooLarge):
        await record(services, actor, [OLD] * (MOST + 1))
    assert await outcomes(services, actor) == []
