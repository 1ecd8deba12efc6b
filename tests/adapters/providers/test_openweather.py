"""OpenWeather's two forms, as its documentation has them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.dto import Point
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.providers.openweather import OpenWeather
from lakefront.errors import UpstreamError
from tests.adapters.outside import Outside, told
from tests.adapters.probe import QUICK

POINT = Point(latitude=40.7128, longitude=-74.006)
CURRENT = {
    "coord": {"lon": -74.006, "lat": 40.7128},
    "weather": [{"id": 501, "main": "Rain", "description": "moderate rain", "icon": "10d"}],
    "main": {"temp": 11.5, "feels_like": 10.9, "temp_min": 10, "temp_max": 13, "pressure": 1015, "humidity": 84},
    "visibility": 10000,
    "wind": {"speed": 4.09, "deg": 121, "gust": 3.47},
    "rain": {"1h": 2.73},
    "clouds": {"all": 83},
    "dt": 1726660758,
    "name": "New York",
    "cod": 200,
}
ONE_CALL = {
    "lat": 40.71,
    "lon": -74.01,
    "timezone": "America/New_York",
    "current": {
        "dt": 1726660758,
        "temp": 11.5,
        "feels_like": 10.9,
        "humidity": 84,
        "clouds": 83,
        "visibility": 10000,
        "wind_speed": 4.09,
        "wind_deg": 121,
        "weather": [{"id": 501, "main": "Rain", "description": "moderate rain", "icon": "10d"}],
        "rain": {"1h": 2.73},
    },
}


@pytest.mark.parametrize(
    ("version", "answer", "target"),
    [
        ("2.5", CURRENT, "/data/2.5/weather?lat=40.7128&lon=-74.006&units=metric&appid=key"),
        (
            "3.0",
            ONE_CALL,
            "/data/3.0/onecall?lat=40.7128&lon=-74.006&units=metric&appid=key&exclude=minutely%2Chourly%2Cdaily%2Calerts",
        ),
    ],
)
async def test_both_forms_tell_the_same(version: str, answer: Any, target: str) -> None:
    async with Outside(lambda _: told(answer)) as outside:
        calls = Calls(policy=QUICK, loopback=True)
        weather = await _adapter(outside.url, version, calls).current(POINT)
        await calls.close()
    assert [got.target for got in outside.got] == [target]
    assert weather.point == POINT
    assert weather.at == datetime(2024, 9, 18, 11, 59, 18, tzinfo=UTC)
    assert (weather.condition, weather.description) == ("Rain", "moderate rain")
    assert (weather.temperature_celsius, weather.feels_like_celsius, weather.humidity_percent) == (11.5, 10.9, 84)
    assert (weather.wind_metres_per_second, weather.wind_from_degrees, weather.clouds_percent) == (4.09, 121, 83)
    assert (weather.rain_millimetres, weather.snow_millimetres, weather.visibility_metres) == (2.73, 0, 10000)


async def test_what_is_missing_is_told_by_its_name() -> None:
    async with Outside(lambda _: told(CURRENT | {"main": {"temp": "warm"}})) as outside:
        calls = Calls(policy=QUICK, loopback=True)
        with pytest.raises(UpstreamError, match=r"main.temp: float_parsing"):
            await _adapter(outside.url, "2.5", calls).current(POINT)
        await calls.close()


def _adapter(url: str, version: str, calls: Calls) -> OpenWeather:
    return OpenWeather(Endpoint("city", "openweather", "", url, version, {"key": "key"}, None, 1), calls)
