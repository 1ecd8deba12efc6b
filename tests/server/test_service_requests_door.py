"""``/service-requests`` by REST: reported, filed, read, changed, with C10's rights; published ones, too (C5, X6)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakefront.server.load import service_requests as loader
from lakefront.server.load.client import batches
from lakefront.settings import Settings
from lakefront.simulator import Simulator
from tests.server.wired import Wired, wired

PATH, RECORDS = "/service-requests", "/service-request-records"
PUBLISHED = Path(__file__).parents[2].parent / "shared" / "data" / "nyc_311_service_requests.csv"
POTHOLE: dict[str, Any] = {
    "city": "nyc",
    "description": "Pothole on the road",
    "agency": "DOT",
    "descriptor": "Pothole",
}
POTHOLE |= {"address": "123 Broadway", "postal_code": "10007", "caller": {"first_name": "Jane", "phone": "2125551234"}}
ROW = {
    "provider": "nyc311",
    "city": "nyc",
    "unique_key": "1",
    "reported_at": "2024-01-01T00:00:00Z",
    "external_status": "Open",
    "complaint_type": "Rodent",
    "borough": "BRONX",
}


@pytest.fixture
async def served(dsn: str, tmp_path: Path) -> AsyncIterator[Wired]:
    async with wired(Settings(port=0, data=tmp_path, database_url=dsn, rate_limits="off")) as made:
        yield made


async def send(served: Wired, method: str, path: str, body: Any = None, role: str = "staff", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await served.client.request(method, path, json=body, headers={**served.bearer(role), **sent})


async def record(served: Wired, *rows: Any, query: str = "") -> Any:
    response: httpx.Response = await send(served, "POST", RECORDS + query, list(rows))
    assert response.status_code == 200, response.text
    return response.json()


async def test_published_rows_are_recorded_once_and_bad_ones_told(served: Wired) -> None:
    bad = [{**ROW, "unique_key": " "}, {**ROW, "reported_at": "soon"}, 7]
    assert (await record(served, ROW, query="?dry_run=true"))["created"] == 1
    first = await record(served, ROW, *bad)
    assert {name: count for name, count in first.items() if name != "verdicts"} == {
        "received": 4, "created": 1, "changed": 0, "unchanged": 0, "older": 0, "rejected": 3
    }  # fmt: skip
    assert [(verdict["index"], verdict["field"]) for verdict in first["verdicts"]] == [
        (1, "uniqueKey"),
        (2, "reported_at"),
        (3, None),
    ]
    assert (await record(served, ROW))["unchanged"] == 1
    later = await record(served, {**ROW, "external_status": "Closed", "closed_at": "2024-01-03T00:00:00Z"}, ROW)
    assert (later["changed"], later["older"]) == (1, 1)
    for body, role, status in ([ROW], "citizen", 403), ({}, "staff", 400), ([ROW], "ingest", 403):
        assert (await send(served, "POST", RECORDS, body, role)).status_code == status


async def test_pages_and_filters(served: Wired) -> None:
    await record(served, *({**ROW, "unique_key": str(n), "borough": ("BRONX", "QUEENS")[n % 2]} for n in range(5)))
    first = (await send(served, "GET", f"{PATH}?first=2")).json()
    rest = (await send(served, "GET", f"{PATH}?first=3&after={first['next']}")).json()
    ids = [each["request_id"] for page in (first, rest) for each in page["service_requests"]]
    assert (ids, rest["next"]) == ([f"nyc311-{n}" for n in range(5)], None)
    found = (await send(served, "GET", f"{PATH}?borough=QUEENS&state=OPEN&complaint_type=Rodent&city=nyc")).json()
    assert [each["request_id"] for each in found["service_requests"]] == ["nyc311-1", "nyc311-3"]
    for query in ("first=0", "first=x", "state=open", "sate=OPEN", "first=1&first=2", "after=!"):
        assert (await send(served, "GET", f"{PATH}?{query}")).status_code == 400, query
    assert (await send(served, "GET", PATH, role="citizen")).json() == {"service_requests": [], "next": None}
    assert (await send(served, "GET", PATH, role="ingest")).status_code == 403


async def test_staff_changes_a_request_and_nobody_else(served: Wired) -> None:
    await record(served, ROW)
    one, change = f"{PATH}/nyc311-1", {"agency_name": "Health", "version": 1}
    assert (await send(served, "PATCH", one, change, role="citizen")).status_code == 403
    tried = await send(served, "PATCH", f"{one}?dry_run=true", change)
    assert tried.status_code == 200, tried.text
    assert tried.json()["report"] == {"changes": 1, "quota": 0, "outside_calls": 0}
    assert (await send(served, "GET", one)).json()["service_request"]["agency_name"] is None
    done = (await send(served, "PATCH", one, change, Idempotency_Key="a")).json()
    again = (await send(served, "PATCH", one, change, Idempotency_Key="a")).json()
    assert (done["service_request"]["agency_name"], done["service_request"]["version"]) == ("Health", 2)
    assert again["service_request"]["version"] == 2
    assert (await send(served, "PATCH", one, change)).status_code == 409
    assert (await send(served, "PATCH", one, {"agency": "the city's by now"})).status_code == 409
    assert (await send(served, "PATCH", one, {"agencie": "x"})).status_code == 400
    assert (await send(served, "PATCH", f"{PATH}/none", {"agency_name": "x"})).status_code == 404
    assert (await send(served, "GET", one, role="citizen")).status_code == 404
    by_graphql = await send(
        *(served, "POST", "/graphql"),
        {
            "query": "mutation ($input: UpdateServiceRequestInput!) { updateServiceRequest(input: $input) { "
            "report { changes } serviceRequest { agencyName version history { totalCount } } } }",
            "variables": {"input": {"requestId": "nyc311-1", "agencyName": None}},
        },
    )
    assert by_graphql.json()["data"]["updateServiceRequest"] == {
        "report": None,
        "serviceRequest": {"agencyName": None, "version": "3", "history": {"totalCount": 3}},
    }


async def test_a_citizen_reports_and_hears_that_it_is_filed(dsn: str, tmp_path: Path) -> None:
    settings = Settings(port=0, data=tmp_path, database_url=dsn, rate_limits="off", loopback_integrations=True)
    async with Simulator(seed=1) as simulator, wired(settings) as served:
        door = next(each for each in simulator.endpoints() if each["provider"] == "open311")
        slug = door["city"] or "nyc"
        place = {"slug": slug, "name": "A city", "latitude": 40.7, "longitude": -74.0, "time_zone": "America/New_York"}
        assert (await send(served, "PUT", "/cities", place, role="admin")).status_code == 200
        assert (await send(served, "PUT", "/integrations", door, role="admin")).status_code in {200, 201}
        given = {
            **POTHOLE,
            "city": slug,
            "service_code": "001",
            "attributes": {"SIZE": ["M"]},
            "latitude": 40.7,
            "longitude": -74.0,
        }
        refused = await send(served, "POST", PATH, given, role="ingest")
        assert refused.status_code == 403
        untold = await send(served, "POST", PATH, {**given, "notify": True}, role="citizen")
        assert (untold.status_code, "caller.phone" in untold.text, "2125551234" in untold.text) == (400, True, False)
        tried = await send(served, "POST", f"{PATH}?dry_run=true", given, role="citizen")
        assert (tried.status_code, tried.json()["report"]["outside_calls"]) == (200, 1), tried.text
        made = await send(served, "POST", PATH, given, role="citizen", Idempotency_Key="once")
        again = await send(served, "POST", PATH, given, role="citizen", Idempotency_Key="once")
        assert (made.status_code, made.json()["service_request"]["state"]) == (201, "PENDING_EXTERNAL")
        request_id = made.json()["service_request"]["request_id"]
        assert again.json()["service_request"]["request_id"] == request_id
        assert "Jane" not in made.text
        found: Any = {"state": "PENDING_EXTERNAL"}
        async with asyncio.timeout(20):
            while found["state"] == "PENDING_EXTERNAL":  # the subscription's own tests follow it
                await asyncio.sleep(0.1)
                answer = await send(served, "GET", f"{PATH}/{request_id}", role="citizen")
                found = answer.json()["service_request"]
        assert found["state"] in {"OPEN", "IN_PROGRESS"}, found
        assert len((await send(served, "GET", PATH, role="citizen")).json()["service_requests"]) == 1


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the city's published file is not in ../shared/data")
async def test_the_published_file_answers_open_rodent_complaints_by_borough_and_week(served: Wired) -> None:
    with PUBLISHED.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        rows = [event for row in loader.read_rows(lines) for event in row.events]
    for batch in batches(rows, 500):
        assert (await record(served, *batch))["rejected"] == 0
    assert (await record(served, *rows[:500]))["unchanged"] == 500
    query = """fragment ByWeek on ServiceRequestStats { groups { key { borough reportedAtWeek } count } }
      { all: serviceRequestStats { groups { count } }
      open: serviceRequestStats(filter: {descriptor: {ilike: "%rodent%"}, state: {in: [OPEN, IN_PROGRESS]}}
        groupBy: [BOROUGH, REPORTED_AT_WEEK]) { ...ByWeek }
      rodents: serviceRequestStats(filter: {descriptor: {ilike: "%rodent%"}}
        groupBy: [BOROUGH, REPORTED_AT_WEEK] orderBy: [{key: {reportedAtWeek: ASC}}, {count: DESC}]) { ...ByWeek } }"""
    data = (await send(served, "POST", "/graphql", {"query": query})).json()["data"]
    assert data["all"]["groups"] == [{"count": 1500}]
    rodents = [row for row in rows if "rodent" in (row["descriptor"] or "").lower()]
    [still] = [row for row in rodents if row["external_status"] != "Closed"]
    key = {"borough": still["borough"], "reportedAtWeek": "2011-02-28"}
    assert data["open"]["groups"] == [{"key": key, "count": 1}]
    assert sum(group["count"] for group in data["rodents"]["groups"]) == len(rodents) == 7
    assert {group["key"]["reportedAtWeek"] for group in data["rodents"]["groups"]} == {"2011-02-28"}
