"""Places of addresses and addresses of places, as the city's geocoders tell them (C4)."""

from typing import Annotated, Self

import strawberry
from strawberry import UNSET

from lakefront.actor import PLACES_READ
from lakefront.adapters.geocoding import Precision
from lakefront.domain import geocoding as domain
from lakefront.graphql import weights
from lakefront.graphql.context import Info
from lakefront.graphql.declare import described
from lakefront.graphql.fields import attribute, field, given
from lakefront.graphql.outside import Point, PointInput, Provenance

_City = Annotated[
    strawberry.ID | None,
    strawberry.argument(
        description="The city that is meant, by its slug. Left out: the one with a geocoder of its own, if there is "
        "just one such, else the whole world."
    ),
]


described(
    Precision,
    "How closely a place is known.",
    {
        Precision.ADDRESS: "To the house.",
        Precision.INTERSECTION: "Where two streets cross.",
        Precision.STREET: "To the street or block.",
        Precision.AREA: "A neighbourhood, postal code, city or more.",
    },
    name="GeocodePrecision",
)


@strawberry.type(description="An address and where it is; what the geocoder does not tell is null.")
class GeocodeMatch:
    """A place that was found."""

    point: Point = attribute("Where it is.")
    label: str = attribute("The address in one line, as the geocoder writes it.")
    precision: Precision = attribute("How closely it is known.")
    house_number: str | None = attribute("The number of the house.")
    street: str | None = attribute("The street.")
    borough: str | None = attribute("The borough, or another part of the city.")
    borough_code: str | None = attribute("New York's: 1 Manhattan, 2 Bronx, 3 Brooklyn, 4 Queens, 5 Staten Island.")
    city: str | None = attribute("The city, as the geocoder writes it.")
    region: str | None = attribute("The state or region: NY.")
    postal_code: str | None = attribute("The postal code.")
    country_code: str | None = attribute("The country: US.")
    bbl: str | None = attribute("New York's tax lot: borough, block, lot.")
    bin: str | None = attribute("New York's number of the building.")
    provenance: Provenance = attribute("Who told it, and when.")

    @classmethod
    def of(cls, match: domain.Match) -> Self:
        """The domain's match."""
        place = match.place
        names = ("house_number", "street", "borough", "borough_code", "city", "region", "postal_code", "country_code")
        return cls(
            point=Point.of(place.point),
            label=place.label,
            precision=place.precision,
            bbl=place.bbl,
            bin=place.bin,
            provenance=Provenance(source=place.source, as_of=match.as_of, stale=match.stale),
            **{name: getattr(place, name) for name in names},
        )


@strawberry.type
class Query:
    """What can be asked about places."""

    @field(
        "Where an address is: the best match, none where there is no such place. The city's own geocoder is asked, or "
        "Mapbox where that fails; what they say is kept for a day. Many of these in one document go together. Null "
        "beside an error at its path.",
        requires=PLACES_READ,
        limit="600/minute",
        weight=weights.OUTSIDE,
        size=1,
    )
    async def geocode(
        self,
        info: Info,
        address: Annotated[str, strawberry.argument(description="The address as people write it: 1 to 200 signs.")],
        city: _City = UNSET,
    ) -> list[GeocodeMatch] | None:
        """The one use-case, batched by the operation's loaders; nullable, so that its failure leaves the rest (X3)."""
        context, slug = info.context, given(city)
        found = await context.loaders.matches(address, None if slug is None else str(slug), context.trace_id)
        return [GeocodeMatch.of(match) for match in found]

    @field(
        "The address nearest to a point, to a metre; none where nobody has an address. Null beside an error.",
        requires=PLACES_READ,
        limit="600/minute",
        weight=weights.OUTSIDE,
        size=1,
    )
    async def reverse_geocode(
        self,
        info: Info,
        point: Annotated[PointInput, strawberry.argument(description="The point.")],
        city: _City = UNSET,
    ) -> list[GeocodeMatch] | None:
        """The one use-case."""
        context, slug = info.context, given(city)
        where = (point.point(), None if slug is None else str(slug))
        found = await domain.reverse(context.services, context.actor, *where, trace_id=context.trace_id)
        return [GeocodeMatch.of(match) for match in found]
