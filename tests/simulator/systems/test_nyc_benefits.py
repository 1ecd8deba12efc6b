"""Benefits screening: the guide's OAuth2 form, and today's body word for word."""

from typing import Any

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems.base import SUSPENDED
from lakefront.simulator.systems.nyc_benefits import CLIENT, PASSWORD, SECRET, USER

BASE = "/nyc_benefits"
GRANT = {"grant_type": "client_credentials", "scope": "screeningapi.client"}
HOUSEHOLD: dict[str, Any] = {
    "household": [
        {
            "cashOnHand": "50000",
            "livingRentalType": "RentControlled",
            "livingRenting": "true",
            "livingOwner": "false",
            "livingStayingWithFriend": "false",
            "livingHotel": "false",
            "livingShelter": "false",
            "livingPreferNotToSay": "false",
        }
    ],
    "person": [
        {
            "age": "35",
            "incomes": [{"amount": "200", "type": "Veteran", "frequency": "Monthly"}],
            "expenses": [{"amount": "50", "type": "Medical", "frequency": "Weekly"}],
            "student": "false",
            "veteran": "true",
            "householdMemberType": "HeadOfHousehold",
            "livingOwnerOnDeed": "false",
            "livingRentalOnLease": "true",
        }
    ],
    "withholdPayload": "false",
}
"""The example of the city's own collection, shortened."""


async def oauth(http: httpx.AsyncClient, **change: str) -> httpx.Response:
    form = {**GRANT, "client_id": CLIENT, "client_secret": SECRET, **change}
    return await http.post(f"{BASE}/v1/oauth/token", data=form)


async def token(http: httpx.AsyncClient) -> str:
    answer = await http.post(f"{BASE}/authToken", json={"username": USER, "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json().keys() == {"type", "token"}
    return str(answer.json()["token"])


async def test_the_guides_token_and_screening(http: httpx.AsyncClient) -> None:
    answer = await oauth(http)
    assert answer.status_code == 200
    told = answer.json()
    assert told.items() >= {("token_type", "Bearer"), ("expires_in", 3600), ("scope", "screeningapi.client")}
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    answer = await http.post(f"{BASE}/v1/screen", json=HOUSEHOLD, headers=headers)
    assert answer.status_code == 200
    assert {program["code"] for program in answer.json()["eligiblePrograms"]} == {
        "S2R007",
        "S2R006",
        "S2R011",
        "S2R018",
    }


async def test_credentials_may_come_as_basic(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{BASE}/oauth/token", data=GRANT, auth=(CLIENT, SECRET))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": ""}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "other"}, 400, "invalid_scope"),
    ],
)
async def test_a_token_is_not_for_everybody(
    http: httpx.AsyncClient, change: dict[str, str], status: int, error: str
) -> None:
    answer = await oauth(http, **change)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


async def test_todays_token_and_programs(http: httpx.AsyncClient) -> None:
    url, headers = f"{BASE}/eligibilityPrograms", {"Authorization": await token(http)}
    told = (await http.post(url, json=[HOUSEHOLD], headers=headers)).json()
    assert told["type"] == "SUCCESS"
    assert {"code": "S2R007", "name": "Supplemental Nutrition Assistance Program (SNAP)"} in told["eligiblePrograms"]
    only = await http.post(url, json=[HOUSEHOLD], headers=headers, params={"interestedPrograms": "S2R006|S2R022"})
    assert [program["code"] for program in only.json()["eligiblePrograms"]] == ["S2R006"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, None),
        ([], None),
        ([{"person": []}], "0.household"),
        ([{**HOUSEHOLD, "person": []}], "0.person"),
        ([{**HOUSEHOLD, "person": HOUSEHOLD["person"] * 9}], "0.person"),
        ([{**HOUSEHOLD, "person": [{"age": "old"}]}], "0.person.0.age"),
        ([{**HOUSEHOLD, "person": [{"age": 3}]}], "0.person.0.householdMemberType"),
        ([{**HOUSEHOLD, "person": [{"age": 3, "householdMemberType": "Child"}]}], "0.person"),
    ],
)
async def test_a_household_that_is_none(http: httpx.AsyncClient, body: Any, place: str | None) -> None:
    headers = {"Authorization": await token(http)}
    answer = await http.post(f"{BASE}/eligibilityPrograms", json=body, headers=headers)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error.keys() == {"message", "moreInfo", "code", "elementPath"}
    assert error["elementPath"] == place


async def test_a_token_ends_after_an_hour(city: Simulator, http: httpx.AsyncClient) -> None:
    headers = {"Authorization": await token(http)}
    for advance, status in ((3590, 200), (20, 401)):
        city.clock.advance(advance)
        answer = await http.post(f"{BASE}/eligibilityPrograms", json=[HOUSEHOLD], headers=headers)
        assert answer.status_code == status
    assert answer.json()["errors"][0]["message"] == "The token has expired."
    assert (await http.post(f"{BASE}/screen", json=HOUSEHOLD)).status_code == 401


async def test_users_are_checked(http: httpx.AsyncClient) -> None:
    for sent, status in (
        ({"username": USER}, 400),
        ({"username": USER, "password": "wrong"}, 401),
        ({"username": SUSPENDED, "password": PASSWORD}, 403),
    ):
        assert (await http.post(f"{BASE}/authToken", json=sent)).status_code == status


async def test_nothing_of_a_household_is_kept(city: Simulator, http: httpx.AsyncClient) -> None:
    headers = {"Authorization": await token(http)}
    await http.post(f"{BASE}/eligibilityPrograms", json=[HOUSEHOLD], headers=headers)
    assert "RentControlled" not in str(list(city.journal.calls))
    assert not city.messages
