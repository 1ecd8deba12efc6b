"""Rows with fields that SQL knows nothing of, some of which fail: Python inside what is compiled (tier 2).

Those may be null: of several that may not, whichever fails first is told, and that is anybody's guess.
"""

import strawberry

from lakefront.actor import PERMITS_READ
from lakefront.db.query import Source
from lakefront.db.tables import permits
from lakefront.errors import Unavailable
from lakefront.graphql.connections import Connection
from lakefront.graphql.declare import Record, column, connection, lookup, record, relation
from lakefront.graphql.fields import field
from lakefront.graphql.node import Node

SITES = Source("Site", permits.permits, key=("permit_id",), scope=PERMITS_READ)
PLACES = Source("SiteAddress", permits.permit_addresses, key=("permit_id", "address_id"), scope=PERMITS_READ)


@strawberry.type
class Sky:
    """What an adapter would say."""

    words: str = strawberry.field(description="How it is.")

    @field("Never there.")
    async def broken(self) -> str | None:
        raise Unavailable("The weather service is away.")


@record(PLACES)
class SiteAddress(Record):
    """An address."""

    address_id: strawberry.ID = column("Its id.")
    site: "Site | None" = relation("Its permit.", on={"permit_id": "permit_id"})

    @field("In words.")
    async def words(self) -> str:
        return f"{self.row['street_number']} {self.row['street_name']}"


@record(SITES)
class Site(Node):
    """A permit with fields that SQL knows nothing of."""

    permit_id: strawberry.ID = column("Its number.")
    status: str | None = column("Its status.")
    addresses: list[SiteAddress] = relation("Where.", on={"permit_id": "permit_id"})

    @field("From outside.", needs=("permit_id",))
    async def weather(self, loud: bool = False) -> Sky:
        return Sky(words=f"fair at {self.row['permit_id']}" + ("!" if loud else ""))

    @field("From outside, and not always there.", needs=("permit_id", "status"))
    async def needed(self) -> str | None:
        if self.row["status"] == "issued":
            raise Unavailable("It is away.")
        return f"{self.row['permit_id']}"


@strawberry.type
class Query:
    site: Site | None = lookup("One.", by={"permitId": "Its number."}, requires=PERMITS_READ)
    sites: Connection[Site] = connection("All.", requires=PERMITS_READ)
