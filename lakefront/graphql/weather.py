"""The weather at a point (C8): null with an error at its path where nobody knows it, so that the rest is shown (X3)."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from lakefront.actor import PLACES_READ
from lakefront.domain import weather as domain
from lakefront.graphql import weights
from lakefront.graphql.context import Info
from lakefront.graphql.fields import attribute, field
from lakefront.graphql.outside import Point, PointInput, Provenance


@strawberry.type(description="What the weather is like at a place; what is not told is null.")
class Weather:
    """The weather."""

    point: Point = attribute("Where: the point that was asked for, to a hundredth of a degree.")
    at: datetime = attribute("When it was observed.")
    condition: str = attribute("In a word: Rain.")
    description: str = attribute("In some words: light rain.")
    temperature_celsius: float = attribute("The temperature, in degrees Celsius.")
    feels_like_celsius: float = attribute("What it feels like, in degrees Celsius.")
    humidity_percent: float = attribute("The air's humidity, in percent.")
    wind_metres_per_second: float = attribute("The wind's speed, in metres per second.")
    wind_from_degrees: float | None = attribute("Where the wind comes from, in degrees clockwise from north.")
    clouds_percent: float | None = attribute("How much of the sky is clouded, in percent.")
    visibility_metres: float | None = attribute("How far one sees, in metres.")
    rain_millimetres: float = attribute("Rain of the last hour, in millimetres.")
    snow_millimetres: float = attribute("Snow of the last hour, in millimetres.")
    provenance: Provenance = attribute("Who told it, and when.")

    @classmethod
    def of(cls, report: domain.Report) -> Self:
        """The domain's report."""
        told = report.weather.model_dump(exclude={"point", "source"})
        provenance = Provenance(source=report.weather.source, as_of=report.as_of, stale=report.stale)
        return cls(point=Point.of(report.weather.point), provenance=provenance, **told)


@strawberry.type
class Query:
    """What can be asked about the weather."""

    @field(
        "The weather at a point, at most ten minutes old; while OpenWeather is away, what it told last, as stale. Null "
        "beside an error at its path.",
        requires=PLACES_READ,
        limit="120/minute",
        weight=weights.OUTSIDE,
    )
    async def weather(
        self, info: Info, point: Annotated[PointInput, strawberry.argument(description="The point.")]
    ) -> Weather | None:
        """The one use-case."""
        context = info.context
        where = point.point()
        return Weather.of(await domain.weather(context.services, context.actor, where, trace_id=context.trace_id))
