"""Cities: those that a tenant serves, by the short names that everything else takes."""

from datetime import datetime
from typing import Annotated, Self

import strawberry
from strawberry import UNSET

from lakefront.actor import INTEGRATIONS_MANAGE, SIGNED_IN
from lakefront.domain import cities as domain
from lakefront.graphql.context import Info
from lakefront.graphql.fields import attribute, field, given, mutation
from lakefront.graphql.reports import DryRunReport


@strawberry.type(description="A city that your tenant serves.")
class City:
    """One city."""

    slug: strawberry.ID = attribute("Its short name, by which others name it: nyc.")
    name: str = attribute("What people call it.")
    latitude: float | None = attribute("Of its middle, in degrees (WGS 84); null where nobody told.")
    longitude: float | None = attribute("Of its middle, in degrees (WGS 84); null where nobody told.")
    time_zone: str | None = attribute("Its time zone, by the IANA name; null where nobody told.")
    created_at: datetime = attribute("When it was added.")
    updated_at: datetime = attribute("When it was last changed.")

    @classmethod
    def of(cls, city: domain.City) -> Self:
        """The domain's city."""
        return cls(
            slug=strawberry.ID(city.slug),
            name=city.name,
            latitude=city.latitude,
            longitude=city.longitude,
            time_zone=city.time_zone,
            created_at=city.created_at,
            updated_at=city.updated_at,
        )


@strawberry.input(description="A city as it is to be; what is left out stays as it is.")
class CityInput:
    """A city."""

    slug: strawberry.ID = strawberry.field(description="Its short name: 2 to 32 of a-z, 0-9 and '-'.")
    name: str = strawberry.field(description="What people call it: 1 to 100 printable characters.")
    latitude: float | None = strawberry.field(
        default=UNSET, description="Of its middle, in degrees (WGS 84), with longitude; null: not known."
    )
    longitude: float | None = strawberry.field(
        default=UNSET, description="Of its middle, in degrees (WGS 84), with latitude; null: not known."
    )
    time_zone: str | None = strawberry.field(
        default=UNSET, description="Its time zone, by the IANA name: America/New_York; null: not known."
    )

    def city(self) -> domain.CityInput:
        """As the domain takes it."""
        told = {"latitude": self.latitude, "longitude": self.longitude, "time_zone": self.time_zone}
        known = {name: value for name, value in told.items() if value is not UNSET}
        return domain.CityInput(str(self.slug), self.name, **known)  # type: ignore[arg-type] # each by its name


@strawberry.type(description="A city that was added or changed.")
class CityPayload:
    """The city."""

    city: City = strawberry.field(description="The city; on a dry run as it would be.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")


@strawberry.type
class Query:
    """What can be asked about cities."""

    @field("The cities that your tenant serves, by their short names.", requires=SIGNED_IN)
    async def cities(self, info: Info) -> list[City]:
        """The one use-case, as REST calls it."""
        return [City.of(city) for city in await domain.cities(info.context.services, info.context.actor)]


@strawberry.type
class Mutation:
    """What can be done about cities."""

    @mutation("Add a city, or change the one of that short name.", requires=INTEGRATIONS_MANAGE)
    async def upsert_city(
        self,
        info: Info,
        city: Annotated[CityInput, strawberry.argument(description="The city.")],
        idempotency_key: Annotated[
            str | None, strawberry.argument(description="The same key with the same arguments changes nothing more.")
        ] = UNSET,
        dry_run: Annotated[
            bool | None, strawberry.argument(description="Check and report, but change nothing.")
        ] = False,
    ) -> CityPayload:
        """The one use-case, as REST calls it."""
        services, actor, dry = info.context.services, info.context.actor, bool(dry_run)
        made = await domain.upsert(services, actor, city.city(), idempotency_key=given(idempotency_key), dry_run=dry)
        return CityPayload(
            city=City.of(made), report=DryRunReport(changes=1, quota=0, outside_calls=0) if dry else None
        )
