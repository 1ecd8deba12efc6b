"""Geoclient's two forms, its two keys, and what it does not know."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.dto import Point
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.geocoding import Place, Precision
from lakefront.adapters.providers.geoclient import Geoclient
from lakefront.errors import RateLimited, ValidationError
from lakefront.simulator import Simulator
from tests.adapters.outside import Answer, Got, Outside, told
from tests.adapters.probe import QUICK

CITY_HALL = {
    "houseNumber": "260",
    "firstStreetNameNormalized": "BROADWAY",
    "firstBoroughName": "MANHATTAN",
    "boroughCode1In": "1",
    "uspsPreferredCityName": "NEW YORK",
    "zipCode": "10007",
    "bbl": "1001220001",
    "buildingIdentificationNumber": "1079146",
    "latitude": 40.713,
    "longitude": -74.0066,
}
KEYS = {"key": "first", "secondary_key": "second", "app_id": "app"}


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(policy=QUICK, loopback=True)
    yield opened
    await opened.close()


def _found(**response: Any) -> Answer:
    result = {"level": "0", "status": "EXACT_MATCH", "request": "…", "response": response}
    return told({"id": "1", "status": "OK", "input": "…", "results": [result]})


def _adapter(url: str, calls: Calls, version: str = "v2", keys: Mapping[str, str] = KEYS, **changes: Any) -> Geoclient:
    return Geoclient(Endpoint("city", "geoclient", "nyc", url, version, keys, changes.get("quota"), 1), calls)


async def test_both_forms(calls: Calls) -> None:
    async with Outside(lambda _: _found(**CITY_HALL)) as outside:
        today = await _adapter(outside.url, calls).geocode(" 260  Broadway,\nManhattan ")
        before = await _adapter(outside.url, calls, "v1").geocode("260 Broadway, Manhattan")
    assert today == before
    assert today == Place(
        point=Point(latitude=40.713, longitude=-74.0066),
        label="260 Broadway, Manhattan, NY 10007",
        precision=Precision.ADDRESS,
        house_number="260",
        street="Broadway",
        borough="Manhattan",
        borough_code="1",
        city="New York",
        region="NY",
        postal_code="10007",
        country_code="US",
        bbl="1001220001",
        bin="1079146",
        source="geoclient",
    )
    asked, guide = outside.got
    assert asked.target == "/geoclient/v2/search?input=260%20Broadway%2C%20Manhattan"
    assert asked.headers["ocp-apim-subscription-key"] == "first"
    assert guide.target == "/geoclient/v1/search.json?q=260%20Broadway%2C%20Manhattan&app_id=app&app_key=first"


async def test_an_intersection(calls: Calls) -> None:
    corner = {"firstStreetNameNormalized": "BROADWAY", "secondStreetNameNormalized": "WALL STREET"}
    async with Outside(lambda _: _found(**corner, latitude=40.7, longitude=-74.0)) as outside:
        place = await _adapter(outside.url, calls).geocode("Broadway and Wall Street")
    assert place is not None
    assert (place.precision, place.label) == (Precision.INTERSECTION, "Broadway & Wall Street, NY")


@pytest.mark.parametrize(
    "answer",
    [
        told({"status": "REJECTED", "input": "x", "results": []}),
        told(
            {"status": "REJECTED", "results": [{"status": "POSSIBLE_MATCH", "response": {"message": "SIMILAR NAMES"}}]}
        ),
        told({"status": "OK", "results": []}),
        _found(firstStreetNameNormalized="BROADWAY"),
    ],
)
async def test_what_it_does_not_know(calls: Calls, answer: Answer) -> None:
    async with Outside(lambda _: answer) as outside:
        assert await _adapter(outside.url, calls).geocode("nowhere") is None


@pytest.mark.parametrize("address", ["", " \n ", "x" * 201])
async def test_what_is_no_address(calls: Calls, address: str) -> None:
    with pytest.raises(ValidationError):
        await _adapter("http://127.0.0.1:9", calls).geocode(address)


async def test_the_second_key_goes_on_where_the_first_is_spent(calls: Calls) -> None:
    def answer(got: Got) -> Answer:
        spent = got.headers["ocp-apim-subscription-key"] == "first"
        return Answer(429, headers={"retry-after": "600"}) if spent else _found(**CITY_HALL)

    async with Outside(answer) as outside:
        adapter = _adapter(outside.url, calls)
        for _ in range(3):
            assert await adapter.geocode("260 Broadway") is not None
        assert [got.headers["ocp-apim-subscription-key"] for got in outside.got] == ["first", *["second"] * 3]
        alone = _adapter(outside.url, calls, keys={"key": "first"})
        with pytest.raises(RateLimited):
            await alone.geocode("260 Broadway")


async def test_our_own_count_of_the_first_key_turns_to_the_second(calls: Calls) -> None:
    async with Outside(lambda _: _found(**CITY_HALL)) as outside:
        adapter = _adapter(outside.url, calls, quota=2)
        for _ in range(4):
            await adapter.geocode("260 Broadway")
        with pytest.raises(RateLimited):
            await adapter.geocode("260 Broadway")
    assert [got.headers["ocp-apim-subscription-key"] for got in outside.got] == ["first"] * 2 + ["second"] * 2


async def test_both_keys_at_the_simulator(calls: Calls) -> None:
    async with Simulator(seed=1, limits={"geoclient": "3/day"}) as city:
        door = next(door for door in city.endpoints() if door["provider"] == "geoclient")
        adapter = Geoclient(Endpoint(tenant="city", quota_daily=None, version=1, **door), calls)
        for number in range(6):
            assert await adapter.geocode(f"{number + 1} Broadway, Manhattan") is not None
        with pytest.raises(RateLimited):
            await adapter.geocode("9 Broadway, Manhattan")
