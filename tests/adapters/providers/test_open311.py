"""Open311 in both formats: files by services and their definitions, tokens, and the look-up before a retry."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError as FormError

from lakefront.adapters.calls import Calls, Response, Unreadable
from lakefront.adapters.dto import Point
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.providers.open311 import MOST_PAGES, Open311
from lakefront.adapters.service_requests import Answering, Caller, NewServiceRequest, Resubmission, State
from lakefront.errors import (
    NotFound,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUncertain,
    ValidationError,
)
from lakefront.simulator import Fault, Kind, Simulator
from lakefront.simulator.tickets import Stage
from tests.adapters.outside import Answer, Got, Outside, told
from tests.adapters.probe import QUICK

START = datetime(2026, 5, 28, 14, 0, tzinfo=UTC)
TRASH = NewServiceRequest(
    reference="r-1",
    description="Nobody came & <took> it",
    service_code="002",
    address="12 Main Street, Boston",
    point=Point(latitude=42.34, longitude=-71.09),
    caller=Caller(first_name="Jane", email="jane@example.org"),
)
VERSIONS = ("v2", "v2-xml")
TEXTS = ("", "1", "true", "batch", "open", "2026-13-45", "2026-05-28T14:00:00Z", "1e300", "NaN", "x" * 300)


@pytest.fixture
async def city() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1, start=START, limits={"open311": ""}) as simulator:
        yield simulator


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(policy=QUICK, loopback=True)
    yield opened
    await opened.close()


def _at(city: Simulator, calls: Calls, version: str = "v2", **credentials: str) -> Open311:
    doors = [each for each in city.endpoints() if (each["provider"], each["city"]) == ("open311", "bos")]
    door = next(each for each in doors if each["api_version"] == version)
    door = {**door, "credentials": {**door["credentials"], **credentials}}
    return Open311(Endpoint(tenant="city", quota_daily=None, version=1, **door), calls)


class Unhurried(Open311):
    """At a rate of its own: a look-up of many pages takes two seconds otherwise."""

    rate = "1000/second"


def _adapter(url: str, calls: Calls, version: str = "v2") -> Open311:
    return Unhurried(Endpoint("city", "open311", "bos", url, version, {"key": "k"}, None, 1), calls)


def _about(code: str, **changes: Any) -> NewServiceRequest:
    return TRASH.model_copy(update={"service_code": code, **changes})


@pytest.mark.parametrize("version", VERSIONS)
async def test_filed_told_and_closed(city: Simulator, calls: Calls, version: str) -> None:
    adapter = _at(city, calls, version)
    filed = await adapter.submit(TRASH)
    assert filed.external_id is not None
    assert (filed.state, filed.reference, filed.service_code) == (State.OPEN, "r-1", "002")
    assert filed.notice
    (ticket,) = city.tickets.filed
    assert ticket.sent["first_name"] == "Jane"
    assert ticket.sent["description"] == "[Reference r-1]\nNobody came & <took> it"
    found = await adapter.status(filed.external_id)
    assert (found.external_id, found.agency) == (ticket.id, "Department of Sanitation")
    assert found.point == TRASH.point
    assert found.postal_code == "02202"
    assert found.created_at is not None
    assert found.created_at.replace(second=0) == START
    city.tickets.decide(ticket, Stage.CLOSED, "It was collected.")
    found = await adapter.status(filed.external_id)
    assert (found.state, found.external_status, found.resolution) == (State.CLOSED, "closed", "It was collected.")


@pytest.mark.parametrize("version", VERSIONS)
async def test_services_and_their_definitions(city: Simulator, calls: Calls, version: str) -> None:
    adapter = _at(city, calls, version)
    services = {each.code: each for each in await adapter.services()}
    assert [services[code].answering for code in ("001", "003", "008")] == list(Answering)
    assert (services["001"].has_definition, services["002"].has_definition) == (True, False)
    size, lane = (await adapter.definition("001")).attributes
    assert (size.code, size.required, size.datatype) == ("SIZE", True, "singlevaluelist")
    assert size.values == {"S": "Small", "M": "Medium", "L": "Large"}
    assert (lane.code, lane.required, lane.values) == ("LANE", False, {})
    with pytest.raises(NotFound):
        await adapter.definition("002")


async def test_attributes_go_by_their_codes(city: Simulator, calls: Calls) -> None:
    adapter = _at(city, calls)
    with pytest.raises(UpstreamRejected):
        await adapter.submit(_about("001"))
    await adapter.submit(_about("001", attributes={"SIZE": ("L",), "LANE": ("left", "right")}))
    assert city.tickets.filed[0].sent["attributes"] == {"SIZE": ["L"], "LANE": ["left", "right"]}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_token_becomes_an_id(city: Simulator, calls: Calls, version: str) -> None:
    adapter = _at(city, calls, version)
    filed = await adapter.submit(_about("003"))
    assert filed.external_id is None
    assert filed.token is not None
    assert await adapter.identify(filed.token) is None
    city.clock.advance(31)
    assert await adapter.identify(filed.token) == city.tickets.filed[0].id
    with pytest.raises(NotFound):
        await adapter.identify("none")


async def test_a_blackbox_gives_no_name(city: Simulator, calls: Calls) -> None:
    filed = await _at(city, calls).submit(_about("008"))
    assert (filed.external_id, filed.token, filed.state) == (None, None, State.OPEN)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", [Kind.RESET_AFTER, Kind.MALFORMED])
async def test_what_may_have_been_filed_is_found(city: Simulator, calls: Calls, version: str, kind: Kind) -> None:
    adapter = _at(city, calls, version)
    assert adapter.resubmission is Resubmission.AFTER_LOOKUP
    assert await adapter.find(TRASH, tried_at=START) is None
    await adapter.submit(TRASH.model_copy(update={"reference": "r-10"}))
    city.faults.set([Fault(kind=kind, probability=1.0, times=1)])
    with pytest.raises(UpstreamUncertain):
        await adapter.submit(TRASH)
    found = await adapter.find(TRASH, tried_at=START)
    assert found is not None
    assert (found.external_id, found.reference) == (city.tickets.filed[1].id, "r-1")
    assert len(city.tickets.filed) == 2
    assert await adapter.find(TRASH, tried_at=START - timedelta(hours=3)) is None


async def test_what_a_city_cuts_off_at_the_end_is_found_all_the_same(city: Simulator, calls: Calls) -> None:
    adapter = _at(city, calls)
    await adapter.submit(TRASH.model_copy(update={"description": "x" * 3900}))
    city.tickets.filed[0].description = city.tickets.filed[0].description[:255]
    assert await adapter.find(TRASH, tried_at=START) is not None


async def test_what_is_too_long_with_our_reference_is_said_at_once(city: Simulator, calls: Calls) -> None:
    adapter, mark = _at(city, calls), len("[Reference r-1]\n")
    adapter.check(TRASH.model_copy(update={"description": "x" * (4000 - mark)}))
    with pytest.raises(ValidationError, match=f"shorter by {mark} characters"):
        adapter.check(TRASH.model_copy(update={"description": "x" * 4000}))
    assert city.journal.tallies["open311"].received == 0


@pytest.mark.parametrize("code", ["003", "008", "999"])
async def test_what_is_listed_later_or_never_is_in_doubt(city: Simulator, calls: Calls, code: str) -> None:
    with pytest.raises(UpstreamUncertain, match="later, or never"):
        await _at(city, calls).find(_about(code), tried_at=START)


async def test_a_look_up_reads_page_behind_page(calls: Calls) -> None:
    def answer(got: Got) -> Answer:
        if got.target.startswith("/services"):
            return told([{"service_code": "002", "service_name": "Trash", "type": "realtime"}])
        page = int(dict(parse_qsl(urlsplit(got.target).query)).get("page", 1))
        rows = range(50 * (page - 1), min(50 * page, 120))
        return told([{"service_request_id": row, "description": f"[Reference o-{row}]"} for row in rows])

    async with Outside(answer) as outside:
        adapter = _adapter(outside.url, calls)
        found = await adapter.find(TRASH.model_copy(update={"reference": "o-110"}), tried_at=START)
        assert found is not None
        assert found.external_id == "110"
        assert await adapter.find(TRASH, tried_at=START) is None
    query = dict(parse_qsl(urlsplit(outside.got[0].target).query))
    assert query["start_date"] == "2026-05-28T13:00:00Z"
    assert query["end_date"] == "2026-05-28T15:00:00Z"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([{"service_request_id": "1", "description": None}], "described"),
        ([{"service_request_id": row, "description": "x"} for row in range(1000)], "too many"),
    ],
)
async def test_a_look_up_that_cannot_be_sure_says_so(calls: Calls, rows: list[Any], why: str) -> None:
    async with Outside(lambda _: told(rows)) as outside:
        with pytest.raises(UpstreamUncertain, match=why):
            await _adapter(outside.url, calls).find(TRASH, tried_at=START)


async def test_a_look_up_ends_where_pages_do_not(calls: Calls) -> None:
    async with Outside() as outside:
        outside.rule = lambda _: told([{"service_request_id": len(outside.got), "description": "x"}])
        with pytest.raises(UpstreamUncertain, match="too many"):
            await _adapter(outside.url, calls).find(TRASH, tried_at=START)
        assert len(outside.got) == MOST_PAGES


@given(source=st.randoms(use_true_random=False))
def test_any_xml_is_understood_or_refused(source: Random) -> None:
    names = [
        *map(str, Open311.field_map.values()),
        "attributes",
        "attribute",
        "values",
        "value",
        "key",
        "code",
        "request",
    ]
    names += ["service_requests", "services", "service", "type", "order", "required"]

    def element(depth: int) -> str:
        name = source.choice(names)
        inner = "".join(element(depth - 1) for _ in range(source.randint(0, 3))) if depth else source.choice(TEXTS)
        return f"<{name}>{inner}</{name}>"

    adapter = _adapter("http://127.0.0.1:9", Calls(), "v2-xml")
    for root in ("service_requests", "services", "service_definition"):
        body = f"<{root}>{''.join(element(3) for _ in range(2))}</{root}>"
        answer = Response(200, {}, body.encode())
        for read in (adapter._told, adapter._listing, adapter._services, lambda it: adapter._definition(it, "1")):
            with contextlib.suppress(Unreadable, FormError):
                read(answer)


async def test_the_wrong_key_and_the_wrong_jurisdiction(city: Simulator, calls: Calls) -> None:
    with pytest.raises(UpstreamDenied):
        await _at(city, calls, key="wrong").submit(TRASH)
    elsewhere = _at(city, calls, jurisdiction_id="nowhere.example")
    for ask in (elsewhere.test(), elsewhere.status("1")):
        with pytest.raises(UpstreamDenied, match="jurisdiction_id"):
            await ask
    with pytest.raises(NotFound):
        await _at(city, calls).status("1")


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("v2", {}),
        ("v2", []),
        ("v2", [{"service_request_id": "1"}, {"service_request_id": "2"}]),
        ("v2", ["1"]),
        ("v2-xml", "<errors/>"),
        ("v2-xml", "<service_requests/>"),
        ("v2-xml", "<service_requests><request/></service_requests>"),
        ("v2-xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><service_requests><request>&b;</request></service_requests>"),
    ],
)
async def test_what_cannot_be_read_is_an_error_and_in_doubt_where_it_was_filed(
    calls: Calls, version: str, body: Any
) -> None:
    answer = told(body) if version == "v2" else Answer(body=body.encode(), kind="text/xml; charset=utf-8")
    async with Outside(lambda _: answer) as outside:
        adapter = _adapter(outside.url, calls, version)
        with pytest.raises(UpstreamError, match="cannot be read"):
            await adapter.status("1")
        with pytest.raises(UpstreamUncertain):
            await adapter.submit(TRASH)
        assert [got.method for got in outside.got].count("POST") == 1
