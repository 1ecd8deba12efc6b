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
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from tests.graphql.conftest import RecordingDatabase
from tests.graphql.fuzz import outside
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

PLOTS = Source("Plot", permits.permits, key=("permit_id",), scope=PERMITS_READ)


@record(PLOTS)
class Plot(Record):
    """A permit with a field that may not be null, and sometimes fails."""

    permit_id: strawberry.ID = column("Its number.")
    status: str | None = column("Its status.")
    itself: "Plot | None" = relation("The same.", on={"permit_id": "permit_id"})

    @field("From outside, and not always there.", needs=("permit_id", "status"))
    async def needed(self) -> str:
        if self.row["status"] == "issued":
            raise Unavailable("It is away.")
        return f"{self.row['permit_id']}"


@strawberry.type
class Query:
    plot: Plot | None = lookup("One.", by={"permitId": "Its number."}, requires=PERMITS_READ)
    plots: Connection[Plot] = connection("All.", requires=PERMITS_READ)


class Plots:
    """A domain."""

    Query = Query


OPERATIONS = {
    "one": '{site(permitId: "P001") {permitId weather(loud: true) {words} x: status}}',
    "none": '{site(permitId: "nowhere") {weather {words}}}',
    "page": "{sites(first: 4) {edges {cursor node {a: weather {words} permitId}} totalCount pageInfo {hasNextPage}}}",
    "deep": "{sites(first: 5) {nodes {addresses {words addressId site {status weather {words}}}}}}",
    "aliases": "{a: sites(first: 1) {nodes {weather {words}}} b: sites(first: 1) {nodes {status}} c: __typename}",
    "failing": "{sites(first: 2) {nodes {permitId weather {words broken}}}}",
    "bubbling": "{plots(first: 4, orderBy: [{status: ASC}]) {nodes {permitId needed}}}",
    "bubbling to a null": '{plot(permitId: "P001") {permitId itself {needed}} b: plot(permitId: "P002") {status}}',
    "node": '{x: site(permitId: "P001") {addresses {__typename site {weather {words}}}}}',
}


@pytest.fixture
def tiers(services: Services, recorder: RecordingDatabase) -> tuple[Operations, Operations]:
    """The same operations, compiled and by resolvers alone."""
    schema = build_schema([outside, Plots])
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
