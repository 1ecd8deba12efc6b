"""Los Angeles: one reference, one request."""

from typing import Any

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems.base import SUSPENDED
from lakefront.simulator.systems.la311 import KEY

PATH = "/la311/myla311/v1/servicerequests"
ADMITTED = {"Authorization": f"Bearer {KEY}"}
SENT = {
    "RequestType": "Pothole",
    "Address": "200 Spring Street, Los Angeles",
    "Latitude": 34.05,
    "Longitude": -118.24,
    "Comments": "As deep as a bathtub",
    "ExternalReference": "r-1",
}


async def test_a_request_is_filed_looked_up_and_closed(city: Simulator, http: httpx.AsyncClient) -> None:
    answer = await http.post(PATH, json=SENT, headers=ADMITTED)
    assert answer.status_code == 201
    told = answer.json()
    assert told.items() >= {
        ("SRNumber", "1-4000000001"),
        ("Status", "Open"),
        ("Owner", "BSS"),
        ("CreatedDate", "05/28/2026 07:00:00 AM"),
        ("ActionTaken", None),
    }
    assert (await http.get(f"{PATH}/{told['SRNumber']}", headers=ADMITTED)).json() == told
    city.clock.advance(86_400 * 2)
    found = (await http.get(PATH, params={"ExternalReference": "r-1"}, headers=ADMITTED)).json()["ServiceRequests"]
    assert [(each["SRNumber"], each["Status"], each["ActionTaken"]) for each in found] == [
        (told["SRNumber"], "Closed", "The pothole was filled.")
    ]
    assert (await http.get(PATH, params={"ExternalReference": "r-2"}, headers=ADMITTED)).json() == {
        "ServiceRequests": []
    }


async def test_a_reference_files_once(city: Simulator, http: httpx.AsyncClient) -> None:
    answers = [await http.post(PATH, json=SENT, headers=ADMITTED) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    assert (await http.post(PATH, json={**SENT, "Comments": "Other"}, headers=ADMITTED)).status_code == 409
    assert len(city.tickets.filed) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"RequestType": "Weather"},
        {"Address": "", "Latitude": None},
        {"ExternalReference": ""},
        {"ExternalReference": 5},
    ],
)
async def test_what_is_not_valid_is_a_400(http: httpx.AsyncClient, change: dict[str, Any]) -> None:
    assert (await http.post(PATH, json={**SENT, **change}, headers=ADMITTED)).status_code == 400


async def test_keys_are_checked(http: httpx.AsyncClient) -> None:
    for key, status in {"wrong": 401, SUSPENDED: 403}.items():
        assert (await http.post(PATH, json=SENT, headers={"Authorization": f"Bearer {key}"})).status_code == status
    assert (await http.get(f"{PATH}/none")).status_code == 401
    assert (await http.get(f"{PATH}/none", headers=ADMITTED)).status_code == 404
    types = (await http.get("/la311/myla311/v1/servicetypes", headers=ADMITTED)).json()["ServiceTypes"]
    assert {"RequestType": "Bulky Items", "Owner": "LASAN"} in types
