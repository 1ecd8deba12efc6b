"""Geoclient: the guide's search, and today's."""

import httpx
import pytest

from lakefront.simulator.systems.base import SUSPENDED
from lakefront.simulator.systems.geoclient import APP_ID, KEY, SECOND_KEY

V1 = "/geoclient/geoclient/v1/search.json"
V2 = "/geoclient/geoclient/v2/search"
GUIDES = {"app_id": APP_ID, "app_key": KEY}
TODAYS = {"Ocp-Apim-Subscription-Key": KEY}


async def test_both_forms_find_the_same(http: httpx.AsyncClient) -> None:
    one = (await http.get(V1, params={"q": "123 Broadway", **GUIDES})).json()
    other = (await http.get(V2, params={"input": "123 Broadway"}, headers=TODAYS)).json()
    assert one == other
    assert (one["status"], one["input"]) == ("OK", "123 Broadway")
    (result,) = one["results"]
    assert (result["level"], result["status"]) == ("0", "EXACT_MATCH")
    found = result["response"]
    assert (found["latitude"], found["longitude"]) == (40.708, -74.00754)
    assert found.items() >= {
        ("boroughCode1In", "1"),
        ("firstBoroughName", "MANHATTAN"),
        ("houseNumber", "123"),
        ("firstStreetNameNormalized", "BROADWAY"),
        ("zipCode", "10001"),
        ("bbl", "1100010123"),
    }


@pytest.mark.parametrize("text", ["12 Nowhere Street", "Broadway", "12 Main Street, Boston"])
async def test_what_is_not_there_is_rejected(http: httpx.AsyncClient, text: str) -> None:
    answer = await http.get(V2, params={"input": text}, headers=TODAYS)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["results"]) == ("REJECTED", [])


async def test_nothing_asked_is_a_400(http: httpx.AsyncClient) -> None:
    assert (await http.get(V2, headers=TODAYS)).status_code == 400
    assert (await http.get(V1, params=GUIDES)).status_code == 400


async def test_keys_are_checked(http: httpx.AsyncClient) -> None:
    asked = {"input": "123 Broadway"}
    for key, status in {"": 401, "wrong": 401, SUSPENDED: 403, SECOND_KEY: 200}.items():
        headers = {"Ocp-Apim-Subscription-Key": key} if key else {}
        assert (await http.get(V2, params=asked, headers=headers)).status_code == status, key
    assert (await http.get(V1, params=asked)).status_code == 401
    assert (await http.get(V1, params={**asked, "app_id": APP_ID, "app_key": "wrong"})).status_code == 403
