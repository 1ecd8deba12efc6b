"""The weather, whoever tells it."""

from datetime import datetime

from lakefront.adapters.dto import Dto, Point


class Weather(Dto):
    """What it was like at ``point`` at the time ``at`` (UTC)."""

    point: Point
    at: datetime
    condition: str
    """In a word: ``Rain``."""
    description: str
    temperature_celsius: float
    feels_like_celsius: float
    humidity_percent: float
    wind_metres_per_second: float
    wind_from_degrees: float | None
    clouds_percent: float | None
    visibility_metres: float | None
    rain_millimetres: float
    """Of the last hour."""
    snow_millimetres: float
    source: str
    """The provider."""
