"""OpenWeather's current weather."""

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems.openweather import KEY

PATH = "/openweather/data/2.5/weather"
HERE: dict[str, str | float] = {"lat": 40.7128, "lon": -74.006, "appid": KEY}


async def test_the_weather_here(http: httpx.AsyncClient) -> None:
    told = (await http.get(PATH, params={**HERE, "units": "metric"})).json()
    assert told["cod"] == 200
    assert told["coord"] == {"lon": -74.006, "lat": 40.7128}
    assert told["name"] == "New York"
    assert told["main"].keys() >= {"temp", "feels_like", "pressure", "humidity"}
    assert told["weather"][0].keys() == {"id", "main", "description", "icon"}
    assert told["dt"] == 1_779_976_800
    kelvin = (await http.get(PATH, params=HERE)).json()["main"]["temp"]
    assert kelvin == pytest.approx(told["main"]["temp"] + 273.15, abs=0.01)
    fahrenheit = (await http.get(PATH, params={**HERE, "units": "imperial"})).json()["main"]["temp"]
    assert fahrenheit == pytest.approx(told["main"]["temp"] * 1.8 + 32, abs=0.01)


async def test_it_holds_for_an_hour(city: Simulator, http: httpx.AsyncClient) -> None:
    told = [(await http.get(PATH, params=HERE)).json()["main"]]
    for advance in (1800, 3600):
        city.clock.advance(advance)
        told.append((await http.get(PATH, params=HERE)).json()["main"])
    assert told[0] == told[1] != told[2]


async def test_one_call(http: httpx.AsyncClient) -> None:
    current = (await http.get("/openweather/data/3.0/onecall", params=HERE)).json()["current"]
    assert current.keys() >= {"dt", "temp", "humidity", "wind_speed", "weather"}


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ({"lat": 1, "lon": 2}, 401, "Invalid API key"),
        ({"lat": 1, "lon": 2, "appid": "wrong"}, 401, "Invalid API key"),
        ({"appid": KEY}, 400, "Nothing to geocode"),
        ({"lat": 91, "lon": 0, "appid": KEY}, 400, "wrong latitude"),
        ({"lat": 1, "lon": 181, "appid": KEY}, 400, "wrong longitude"),
        ({"q": "Atlantis", "appid": KEY}, 404, "city not found"),
    ],
)
async def test_errors(http: httpx.AsyncClient, query: dict[str, str | int], status: int, told: str) -> None:
    answer = await http.get(PATH, params=query)
    assert answer.status_code == status
    assert told in answer.json()["message"]
    assert str(answer.json()["cod"]) == str(status)


async def test_a_city_by_name(http: httpx.AsyncClient) -> None:
    assert (await http.get(PATH, params={"q": "Boston,US", "appid": KEY})).json()["name"] == "Boston"
