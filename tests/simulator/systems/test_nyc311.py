"""New York's 311: the integration guide's bodies, and today's fields."""

from typing import Any

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems.base import SUSPENDED
from lakefront.simulator.systems.nyc311 import KEY, SECOND_KEY

GUIDE: dict[str, Any] = {
    "caller": {"firstName": "Jane", "lastName": "Doe", "phone": "2125551234"},
    "incidentAddress": "123 Broadway, New York, NY",
    "descriptor": "Pothole on the road",
    "incidentZip": "10007",
    "agencyCode": "DOT",
    "latitude": 40.7128,
    "longitude": -74.0060,
}
"""The payload of the integration guide, word for word."""

PATH = "/nyc311/311/v1/service-requests"
PUBLIC = "/nyc311/public/api"
GUIDES = {"X-Api-Key": KEY}
TODAYS = {"Ocp-Apim-Subscription-Key": KEY}


async def test_the_guides_request_is_filed(city: Simulator, http: httpx.AsyncClient) -> None:
    answer = await http.post(PATH, json=GUIDE, headers=GUIDES)
    assert answer.status_code == 201
    assert answer.json() == {"trackingNumber": "NYC311-2026-0528-0026", "status": "Open"}
    (ticket,) = city.tickets.filed
    assert (ticket.agency, ticket.service, ticket.sent) == ("DOT", "Street Condition", GUIDE)


async def test_there_is_no_idempotency(city: Simulator, http: httpx.AsyncClient) -> None:
    headers = {**GUIDES, "Idempotency-Key": "the same"}
    numbers = {(await http.post(PATH, json=GUIDE, headers=headers)).json()["trackingNumber"] for _ in range(3)}
    assert len(numbers) == len(city.tickets.filed) == 3


async def test_a_test_request_is_answered_and_not_counted(city: Simulator, http: httpx.AsyncClient) -> None:
    answer = await http.post(PATH, json=GUIDE, headers=GUIDES, params={"test": "true"})
    assert answer.status_code == 201
    assert city.tickets.filed == []
    assert (await http.get(f"{PATH}/{answer.json()['trackingNumber']}", headers=GUIDES)).status_code == 200


async def test_the_status_goes_from_open_to_closed(city: Simulator, http: httpx.AsyncClient) -> None:
    number = (await http.post(PATH, json=GUIDE, headers=GUIDES)).json()["trackingNumber"]
    told = []
    for advance in (0, 3600 * 2, 86_400 * 2):
        city.clock.advance(advance)
        told.append((await http.get(f"{PATH}/{number}", headers=GUIDES)).json())
    assert [each["status"] for each in told] == ["Open", "In Progress", "Closed"]
    assert told[0].keys() == {
        *("trackingNumber", "status", "agencyCode", "descriptor", "incidentAddress", "createdDate", "updatedDate"),
        "resolutionDescription",
    }
    assert told[0]["resolutionDescription"] is None
    assert "repaired" in told[2]["resolutionDescription"]
    assert told[0]["createdDate"] == "2026-05-28T14:00:00Z" < told[1]["updatedDate"] < told[2]["updatedDate"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"incidentAddress": ""}, "incidentAddress is required."),
        ({"descriptor": None}, "descriptor is required."),
        ({"agencyCode": "FBI"}, "agencyCode is not known."),
        ({"latitude": 91}, "latitude and longitude must be degrees"),
        ({"longitude": None}, "latitude and longitude must be degrees"),
    ],
)
async def test_what_is_not_valid_is_a_400(http: httpx.AsyncClient, change: dict[str, Any], told: str) -> None:
    answer = await http.post(PATH, json={**GUIDE, **change}, headers=GUIDES)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


async def test_a_body_that_is_no_object_is_a_400(http: httpx.AsyncClient) -> None:
    for body in (b"", b"[]", b"{", b"\xff"):
        assert (await http.post(PATH, content=body, headers=GUIDES)).status_code == 400


async def test_keys_are_checked(http: httpx.AsyncClient) -> None:
    keys = {None: 401, "wrong": 401, SUSPENDED: 403, KEY: 201, SECOND_KEY: 201}
    for key, status in keys.items():
        answer = await http.post(PATH, json=GUIDE, headers={"X-Api-Key": key} if key else {})
        assert answer.status_code == status, key
    assert (await http.get(f"{PATH}/none", headers=GUIDES)).status_code == 404


async def test_todays_form_tells_the_status_alone(city: Simulator, http: httpx.AsyncClient) -> None:
    seeded = [ticket for ticket in city.tickets if ticket.seeded]
    told = [
        (await http.get(f"{PUBLIC}/GetServiceRequest", params={"srnumber": ticket.reference}, headers=TODAYS)).json()
        for ticket in seeded[:8]
    ]
    assert [each["SRNumber"] for each in told] == [ticket.reference for ticket in seeded[:8]]
    for each in told:
        assert each.keys() >= {
            "SRNumber",
            "Agency",
            "Problem",
            "ProblemDetails",
            "Status",
            "DateTimeSubmitted",
            "Address",
        }
        assert each["Address"].keys() == {"Borough", "FullAddress"}
        assert each["Status"] in {"614110001", "614110002", "614110003"}
        assert ("ResolutionAction" in each) is (each["Status"] == "614110003")
    assert (await http.post(f"{PUBLIC}/GetServiceRequest", json=GUIDE, headers=TODAYS)).status_code == 405


async def test_todays_form_tells_of_what_the_guides_filed(city: Simulator, http: httpx.AsyncClient) -> None:
    await http.post(PATH, json=GUIDE, headers=GUIDES)
    params = {"SRNumber": city.tickets.filed[0].reference}
    assert (await http.get(f"{PUBLIC}/GetServiceRequest", params=params, headers=TODAYS)).json() == {
        "SRNumber": "311-10000026",
        "Agency": "Department of Transportation",
        "Problem": "Street Condition",
        "ProblemDetails": "Pothole on the road",
        "AdditionalDetails": "N/A",
        "Status": "614110001",
        "DateTimeSubmitted": "2026-05-28T10:00:00",
        "SLARemainingDays": "7",
        "Address": {"Borough": "MANHATTAN", "FullAddress": "123 BROADWAY, MANHATTAN, NY, 10001"},
    }


async def test_todays_list_has_those_that_are_there(http: httpx.AsyncClient) -> None:
    sent = {"SRNumbers": ["311-10000001", "311-99", "311-10000002"]}
    told = (await http.post(f"{PUBLIC}/GetServiceRequestList", json=sent, headers=TODAYS)).json()
    assert [each["SRNumber"] for each in told["SRResponses"]] == ["311-10000001", "311-10000002"]


async def test_todays_errors(http: httpx.AsyncClient) -> None:
    url = f"{PUBLIC}/GetServiceRequest"
    answer = await http.get(url, params={"srnumber": "311-99"}, headers=TODAYS)
    assert (answer.status_code, answer.json()["Error"]["Code"]) == (404, "NotFound")
    assert (await http.get(url, headers=TODAYS)).status_code == 400
    answer = await http.get(url, params={"srnumber": "311-99"})
    assert answer.status_code == 401
    assert answer.json() == {
        "statusCode": 401,
        "message": "Access denied due to missing subscription key. Make sure to include subscription key when making "
        "requests to an API.",
    }
    answer = await http.get(url, headers={"Ocp-Apim-Subscription-Key": SUSPENDED})
    assert answer.status_code == 403
