"""What is told of outside systems' answers, whatever they are about: where they come from, and places on earth."""

from datetime import datetime
from typing import Self

import strawberry

from lakefront.adapters.dto import Point as Place
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.fields import attribute


@strawberry.type(description="Where something comes from that an outside system told (X3).")
class Provenance:
    """The source of an answer."""

    source: str = attribute("The outside system that told it: geoclient, mapbox, openweather, …")
    as_of: datetime = attribute("When it was told; answers are kept for a while.")
    stale: bool = attribute("Whether it is older than it should be, as nothing newer is to be had just now.")


@strawberry.type(description="A place on earth.")
class Point:
    """A place, in degrees."""

    latitude: float = attribute("Degrees north of the equator (WGS 84).")
    longitude: float = attribute("Degrees east of Greenwich (WGS 84).")

    @classmethod
    def of(cls, point: Place) -> Self:
        """The adapters' point."""
        return cls(latitude=point.latitude, longitude=point.longitude)


@strawberry.input(description="A place on earth.")
class PointInput:
    """A place, in degrees."""

    latitude: float = strawberry.field(description="Degrees north of the equator (WGS 84), -90 to 90.")
    longitude: float = strawberry.field(description="Degrees east of Greenwich (WGS 84), -180 to 180.")

    def point(self) -> Place:
        """As adapters take it; raises ``ValidationError`` for one that is not on earth."""
        for name, value, most in (("latitude", self.latitude, 90), ("longitude", self.longitude, 180)):
            if not -most <= value <= most:
                raise refused(f"point.{name}", f"It is -{most} to {most} degrees.")
        return Place(latitude=self.latitude, longitude=self.longitude)
