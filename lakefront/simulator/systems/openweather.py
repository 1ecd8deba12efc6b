"""OpenWeather: current weather (2.5), and One Call (3.0)."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator import places
from lakefront.simulator.answers import Refusal, as_json, coordinates, number
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import Door, System

KEY: Final = "simulated-openweather-key"

SKIES: Final = (
    (800, "Clear", "clear sky", "01d"),
    (803, "Clouds", "broken clouds", "04d"),
    (500, "Rain", "light rain", "10d"),
    (600, "Snow", "light snow", "13d"),
    (741, "Fog", "fog", "50d"),
)


class OpenWeather(System):
    """The weather of a place is the same for an hour, and follows from the seed."""

    name = "openweather"
    title = "OpenWeather"
    limits: ClassVar[Mapping[str, str]] = {"openweather": "60/minute,1000/day"}

    def routes(self) -> Sequence[Route]:
        """Both versions."""
        return [Route("/data/2.5/weather", self.current), Route("/data/3.0/onecall", self.one_call)]

    def doors(self) -> Sequence[Door]:
        """One key for both."""
        return [Door(version, {"key": KEY}) for version in ("2.5", "3.0")]

    def caller(self, request: Request) -> str:
        """The key."""
        return request.query_params.get("appid") or super().caller(request)

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """As they tell it."""
        return _error(
            429, "Your account is temporary blocked due to exceeding of requests limitation of your subscription type."
        )

    async def current(self, request: Request) -> Response:
        """``GET /data/2.5/weather?lat=&lon=&units=&appid=``."""
        (latitude, longitude), name = self._asked(request)
        sky, air = self._weather(latitude, longitude), _units(request)
        now = int(self.city.clock.now().timestamp())
        weather = {
            "coord": {"lon": round(longitude, 4), "lat": round(latitude, 4)},
            "weather": [dict(zip(("id", "main", "description", "icon"), sky["sky"], strict=True))],
            "base": "stations",
            "main": {
                "temp": air(sky["celsius"]),
                "feels_like": air(sky["celsius"] - 2),
                "temp_min": air(sky["celsius"] - 1),
                "temp_max": air(sky["celsius"] + 1),
                "pressure": 1015,
                "humidity": sky["humidity"],
            },
            "visibility": 10_000,
            "wind": {"speed": sky["wind"], "deg": sky["from"]},
            "clouds": {"all": sky["clouds"]},
            "dt": now,
            "sys": {"country": "US", "sunrise": now - now % 86_400 + 39_600, "sunset": now - now % 86_400 + 79_200},
            "timezone": -18_000,
            "id": 5_128_581,
            "name": name,
            "cod": 200,
        }
        if sky["sky"][1] in {"Rain", "Snow"}:
            weather[sky["sky"][1].lower()] = {"1h": 0.6}
        return as_json(weather)

    async def one_call(self, request: Request) -> Response:
        """``GET /data/3.0/onecall?lat=&lon=&units=&appid=``: the part that is called current."""
        (latitude, longitude), _ = self._asked(request)
        sky, air = self._weather(latitude, longitude), _units(request)
        current = {
            "dt": int(self.city.clock.now().timestamp()),
            "temp": air(sky["celsius"]),
            "feels_like": air(sky["celsius"] - 2),
            "pressure": 1015,
            "humidity": sky["humidity"],
            "clouds": sky["clouds"],
            "visibility": 10_000,
            "wind_speed": sky["wind"],
            "wind_deg": sky["from"],
            "weather": [dict(zip(("id", "main", "description", "icon"), sky["sky"], strict=True))],
        }
        told = {"lat": round(latitude, 4), "lon": round(longitude, 4), "timezone": "America/New_York"}
        return as_json({**told, "timezone_offset": -18_000, "current": current})

    def _asked(self, request: Request) -> tuple[tuple[float, float], str]:
        """The point that is meant, and its name."""
        query = request.query_params
        if not self.shows(query.get("appid"), (KEY,)):
            raise Refusal(
                _error(401, "Invalid API key. Please see https://openweathermap.org/faq#error401 for more info.")
            )
        if "q" in query:
            named = [
                area
                for area in places.AREAS
                if query["q"].partition(",")[0].lower() in {*area.names, area.city.lower()}
            ]
            if not named:
                raise Refusal(as_json({"cod": "404", "message": "city not found"}, 404))
            return (named[0].latitude, named[0].longitude), named[0].city
        if "lat" not in query or "lon" not in query:
            raise Refusal(as_json({"cod": "400", "message": "Nothing to geocode"}, 400))
        point = coordinates(query["lat"], query["lon"])
        if point is None:
            wrong = "latitude" if abs(number(query["lat"]) or 91) > 90 else "longitude"
            raise Refusal(as_json({"cod": "400", "message": f"wrong {wrong}"}, 400))
        near = places.nearest(*point)
        return point, near.area.city if near else ""

    def _weather(self, latitude: float, longitude: float) -> dict[str, Any]:
        hour = int(self.city.clock.now().timestamp()) // 3600
        random = Random(f"{self.city.seed}/{latitude:.1f}/{longitude:.1f}/{hour}")
        return {
            "sky": random.choice(SKIES),
            "celsius": round(random.uniform(-5, 30), 2),
            "humidity": random.randint(30, 95),
            "wind": round(random.uniform(0, 12), 2),
            "from": random.randint(0, 359),
            "clouds": random.randint(0, 100),
        }


def _units(request: Request) -> Any:
    """What makes their number of degrees Celsius."""
    match request.query_params.get("units", "standard"):
        case "metric":
            return lambda celsius: round(celsius, 2)
        case "imperial":
            return lambda celsius: round(celsius * 9 / 5 + 32, 2)
        case _:
            return lambda celsius: round(celsius + 273.15, 2)


def _error(status: int, message: str) -> Response:
    return as_json({"cod": status, "message": message}, status)
