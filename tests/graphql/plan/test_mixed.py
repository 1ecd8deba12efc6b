"""Tier 2: Python fields beside and inside what SQL answers."""

from dataclasses import replace
from typing import Any

import pytest
import strawberry

from lakefront.actor import PERMITS_READ, Actor
from lakefront.db.query import Source
from lakefront.db.tables import permits
from lakefront.domain.services import Services
from lakefront.errors import Unavailable
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Context
from lakefront.graphql.declare import Record, column, connection, lookup, permission, record, relation
from lakefront.graphql.fields import field
from lakefront.graphql.node import Node
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from tests.graphql.conftest import RecordingDatabase
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

SITES = Source("Site", permits.permits, key=("permit_id",), scope=PERMITS_READ)
PLACES = Source("SiteAddress", permits.permit_addresses, key=("permit_id", "address_id"), scope=PERMITS_READ)


@strawberry.type
class Weather:
    """What an adapter would say."""

    words: str = strawberry.field(description="How it is.")

    @field("Never there.")
    async def broken(self) -> str:
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
    async def weather(self, loud: bool = False) -> Weather:
        return Weather(words=f"fair at {self.row['permit_id']}" + ("!" if loud else ""))

    @field("From outside, and not always there.", needs=("permit_id", "status"))
    async def needed(self) -> str:
        if self.row["status"] == "issued":
            raise Unavailable("It is away.")
        return f"{self.row['permit_id']}"


@strawberry.type
class Query:
    site: Site | None = lookup("One.", by={"permitId": "Its number."}, requires=PERMITS_READ)
    sites: Connection[Site] = connection("All.", requires=PERMITS_READ)


class Domain:
    """The only one."""

    Query = Query


OPERATIONS = {
    "one": '{site(permitId: "P001") {permitId weather(loud: true) {words} x: status}}',
    "none": '{site(permitId: "nowhere") {weather {words}}}',
    "page": "{sites(first: 4) {edges {cursor node {a: weather {words} permitId}} totalCount pageInfo {hasNextPage}}}",
    "deep": "{sites(first: 5) {nodes {addresses {words addressId site {status weather {words}}}}}}",
    "aliases": "{a: sites(first: 1) {nodes {weather {words}}} b: sites(first: 1) {nodes {status}} c: __typename}",
    "failing": "{sites(first: 2) {nodes {permitId weather {words broken}}}}",
    "bubbling": "{sites(first: 4, orderBy: [{status: ASC}]) {nodes {permitId needed}}}",
    "bubbling to a null": '{site(permitId: "P001") {addresses {site {needed}}} b: site(permitId: "P002") {status}}',
    "node": '{x: site(permitId: "P001") {addresses {__typename site {weather {words}}}}}',
}


@pytest.fixture
def tiers(services: Services, recorder: RecordingDatabase) -> tuple[Operations, Operations]:
    """The same operations, compiled and by resolvers alone."""
    schema = build_schema([Domain])
    parts: Any = (schema, replace(services, database=recorder), Context.for_operation, permission)
    return Operations(*parts), Operations(*parts, compiled=False)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_python_fields_find_what_they_need(
    tiers: tuple[Operations, Operations], city: None, actor: Actor, recorder: RecordingDatabase, name: str
) -> None:
    request = OperationRequest(OPERATIONS[name])
    mixed = (await tiers[0].execute(request, actor, "trace")).payload()
    assert len(recorder.statements) == 1
    resolved = (await tiers[1].execute(request, actor, "trace")).payload()
    for answer in (mixed, resolved):
        for error in answer.get("errors", ()):
            del error["extensions"]["timestamp"]
        answer.get("errors", []).sort(key=lambda error: [str(step) for step in error["path"]])
    assert mixed == resolved
    assert str(mixed["data"]) == str(resolved["data"])
    assert tiers[0].runner.tiers == {2: 1}
