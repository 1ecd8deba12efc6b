"""New York's two forms: one tells where requests stand, the other files, and nobody can look whether it did."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.dto import Point
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.providers.nyc311 import Nyc311
from lakefront.adapters.service_requests import (
    Caller,
    NewServiceRequest,
    Resubmission,
    ServiceRequestDTO,
    State,
)
from lakefront.errors import (
    NotConfigured,
    NotFound,
    UpstreamDenied,
    UpstreamError,
    UpstreamUncertain,
    ValidationError,
)
from lakefront.simulator import Fault, Kind, Simulator
from lakefront.simulator.tickets import Stage
from tests.adapters.outside import Answer, Outside, told
from tests.adapters.probe import QUICK

START = datetime(2026, 5, 28, 14, 0, tzinfo=UTC)
POTHOLE = NewServiceRequest(
    reference="r-1",
    description="Pothole on the road",
    agency="DOT",
    address="123 Broadway, New York, NY",
    postal_code="10007",
    point=Point(latitude=40.7128, longitude=-74.006),
    caller=Caller(first_name="Jane", last_name="Doe", phone="2125551234"),
)


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(policy=QUICK, loopback=True)
    yield opened
    await opened.close()


@pytest.fixture
async def city() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1, start=START) as simulator:
        yield simulator


def _adapter(url: str, calls: Calls, version: str) -> Nyc311:
    return Nyc311(Endpoint("city", "nyc311", "nyc", url, version, {"key": "k"}, None, 1), calls)


def _at(city: Simulator, calls: Calls, version: str) -> Nyc311:
    door = next(each for each in city.endpoints() if (each["provider"], each["api_version"]) == ("nyc311", version))
    return Nyc311(Endpoint(tenant="city", quota_daily=None, version=1, **door), calls)


async def test_the_guides_form_word_by_word(calls: Calls) -> None:
    answer = told({"trackingNumber": "NYC311-2025-0423-1234", "status": "Open"}, 201)
    async with Outside(lambda _: answer) as outside:
        filed = await _adapter(outside.url, calls, "v1").submit(POTHOLE)
    assert filed == ServiceRequestDTO(
        external_id="NYC311-2025-0423-1234",
        external_status="Open",
        state=State.OPEN,
        agency="DOT",
        reference="r-1",
        source="nyc311",
    )
    (got,) = outside.got
    assert (got.method, got.target, got.headers["x-api-key"]) == ("POST", "/311/v1/service-requests", "k")
    assert orjson.loads(got.body) == {
        "caller": {"firstName": "Jane", "lastName": "Doe", "phone": "2125551234"},
        "incidentAddress": "123 Broadway, New York, NY",
        "descriptor": "Pothole on the road",
        "incidentZip": "10007",
        "agencyCode": "DOT",
        "latitude": 40.7128,
        "longitude": -74.006,
    }


async def test_filed_and_followed_to_its_end(city: Simulator, calls: Calls) -> None:
    adapter = _at(city, calls, "v1")
    filed = await adapter.submit(POTHOLE)
    assert filed.external_id is not None
    ticket = city.tickets.filed[0]
    assert (ticket.id, ticket.agency, ticket.test) == (filed.external_id, "DOT", False)
    states = [(await adapter.status(filed.external_id)).state]
    for stage in (Stage.IN_PROGRESS, Stage.CLOSED, Stage.CANCELLED):
        city.tickets.decide(ticket, stage, "As decided.")
        states.append((await adapter.status(filed.external_id)).state)
    assert states == [State.OPEN, State.IN_PROGRESS, State.CLOSED, State.REJECTED]


async def test_todays_form_tells_the_same_in_the_citys_own_time(city: Simulator, calls: Calls) -> None:
    filed = await _at(city, calls, "v1").submit(POTHOLE)
    assert filed.external_id is not None
    city.tickets.decide(city.tickets.filed[0], Stage.CLOSED, "It was repaired.")
    found = await _at(city, calls, "public").status(filed.external_id)
    assert (found.state, found.external_status) == (State.CLOSED, "614110003")
    assert (found.agency, found.borough) == ("Department of Transportation", "MANHATTAN")
    assert found.resolution == "It was repaired."
    assert found.created_at is not None
    assert found.created_at.replace(second=0) == START


async def test_a_test_is_filed_as_one(city: Simulator, calls: Calls) -> None:
    await _at(city, calls, "v1").submit(POTHOLE.model_copy(update={"test": True}))
    assert city.tickets.filed == []
    assert [ticket.test for ticket in city.tickets if not ticket.seeded] == [True]


async def test_todays_form_files_nothing_and_says_what_would(calls: Calls) -> None:
    adapter = _adapter("http://127.0.0.1:9", calls, "public")
    assert adapter.resubmission is None
    with pytest.raises(NotConfigured, match="api_version to v1, or set up open311"):
        await adapter.submit(POTHOLE)


@pytest.mark.parametrize("kind", [Kind.RESET_AFTER, Kind.ERROR_AFTER, Kind.MALFORMED, Kind.CONTENT_TYPE])
async def test_what_may_have_been_filed_is_not_filed_again(city: Simulator, calls: Calls, kind: Kind) -> None:
    city.faults.set([Fault(kind=kind, probability=1.0, times=1)])
    adapter = _at(city, calls, "v1")
    assert adapter.resubmission is Resubmission.NEVER
    with pytest.raises(UpstreamUncertain):
        await adapter.submit(POTHOLE)
    assert len(city.tickets.filed) == 1
    with pytest.raises(UpstreamUncertain, match="cannot be told"):
        await adapter.find(POTHOLE, tried_at=START)


@pytest.mark.parametrize("version", ["public", "v1"])
async def test_what_is_not_there(city: Simulator, calls: Calls, version: str) -> None:
    adapter = _at(city, calls, version)
    with pytest.raises(NotFound):
        await adapter.status("NYC311-0")
    with pytest.raises(ValidationError):
        await adapter.status(" ")


@pytest.mark.parametrize("version", ["public", "v1"])
async def test_what_is_no_such_api(calls: Calls, version: str) -> None:
    async with Outside(lambda _: told({"statusCode": 404, "message": "Resource not found"}, 404)) as outside:
        with pytest.raises(UpstreamDenied, match="base URL"):
            await _adapter(outside.url, calls, version).test()


@pytest.mark.parametrize("lacking", ["address", "agency"])
async def test_what_it_needs(calls: Calls, lacking: str) -> None:
    with pytest.raises(ValidationError) as raised:
        await _adapter("http://127.0.0.1:9", calls, "v1").submit(POTHOLE.model_copy(update={lacking: None}))
    assert raised.value.details[0]["field"] == lacking


@pytest.mark.parametrize(
    ("answer", "told_is"),
    [
        ({"SRNumber": "1", "Status": "Draft"}, (None, "Draft")),
        ({"SRNumber": "1\0", "Status": " in progress ", "Agency": ""}, (State.IN_PROGRESS, "in progress")),
        ({"SRNumber": 1, "Status": 614110001}, (State.OPEN, "614110001")),
    ],
)
async def test_words_that_we_know_and_do_not(calls: Calls, answer: Any, told_is: tuple[Any, str]) -> None:
    async with Outside(lambda _: told(answer)) as outside:
        found = await _adapter(outside.url, calls, "public").status("1")
    assert (found.state, found.external_status) == told_is
    assert (found.external_id, found.agency) == ("1", None)


@pytest.mark.parametrize(
    "answer",
    [
        *({}, [], None, {"SRNumber": ""}, {"SRNumber": "x" * 201}),
        {"SRNumber": "1", "DateTimeSubmitted": "soon"},
        {"SRNumber": "1", "DateTimeSubmitted": "9999-12-31T23:59:59"},
    ],
)
async def test_what_cannot_be_read_is_an_error(calls: Calls, answer: Any) -> None:
    async with Outside(lambda _: Answer(body=orjson.dumps(answer))) as outside:
        with pytest.raises(UpstreamError, match="cannot be read"):
            await _adapter(outside.url, calls, "public").status("1")


def test_a_repr_has_nothing_personal() -> None:
    told = f"{POTHOLE!r}{POTHOLE}{POTHOLE.caller!r}"
    assert "r-1" in told
    assert not any(word in told for word in ("Jane", "Broadway", "Pothole", "212", "40.7"))
