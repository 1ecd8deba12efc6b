"""OpenWeather (C8): the weather at a point. Whoever shows it does without it when it is away (fail-open)."""

from typing import ClassVar

from lakefront.adapters.base import Adapter
from lakefront.adapters.calls import Request, Response
from lakefront.adapters.dto import Moment, Point, Wire, found_at
from lakefront.adapters.weather import Weather


class OpenWeather(Adapter):
    """``2.5``: current weather. ``3.0``: One Call, which needs a subscription; its free 1,000 a day are the quota."""

    provider = "openweather"
    title = "OpenWeather"
    default_base_url = "https://api.openweathermap.org"
    api_versions = ("2.5", "3.0")
    credentials: ClassVar = {"key": "API key (appid)"}
    quota_daily = 1000
    tells: ClassVar = frozenset({"cod"})

    async def current(self, point: Point, *, trace_id: str = "") -> Weather:
        """The weather at ``point`` now; raises as ``Calls.call`` does."""
        query: dict[str, str | float] = {"lat": point.latitude, "lon": point.longitude, "units": "metric"}
        query["appid"] = self.credential("key")
        if self.endpoint.api_version == "3.0":
            query["exclude"] = "minutely,hourly,daily,alerts"
            request = Request("weather", "GET", "/data/3.0/onecall", query)
        else:
            request = Request("weather", "GET", "/data/2.5/weather", query)
        return await self._call(request, lambda answer: _weather(answer, point), trace_id=trace_id)

    async def test(self) -> None:
        """The weather in New York."""
        await self.current(Point(latitude=40.7128, longitude=-74.006))


class _Sky(Wire):
    """https://openweathermap.org/current, and https://openweathermap.org/api/one-call-3 below ``current``."""

    at: Moment = found_at("dt", "current.dt")
    condition: str = found_at("weather.0.main", "current.weather.0.main")
    description: str = found_at("weather.0.description", "current.weather.0.description", default="")
    temperature_celsius: float = found_at("main.temp", "current.temp")
    feels_like_celsius: float = found_at("main.feels_like", "current.feels_like")
    humidity_percent: float = found_at("main.humidity", "current.humidity")
    wind_metres_per_second: float = found_at("wind.speed", "current.wind_speed")
    wind_from_degrees: float | None = found_at("wind.deg", "current.wind_deg", default=None)
    clouds_percent: float | None = found_at("clouds.all", "current.clouds", default=None)
    visibility_metres: float | None = found_at("visibility", "current.visibility", default=None)
    rain_millimetres: float = found_at("rain.1h", "current.rain.1h", default=0.0)
    snow_millimetres: float = found_at("snow.1h", "current.snow.1h", default=0.0)


def _weather(answer: Response, point: Point) -> Weather:
    return Weather(point=point, source=OpenWeather.provider, **dict(answer.model(_Sky)))
