"""Compiled answers are the resolvers' answers, shape by shape; ``fuzz`` asks at random what is not thought of here."""

from dataclasses import replace
from typing import Any

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from tests.graphql.conftest import RecordingDatabase
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

OPERATIONS = {
    "one row": '{permit(permitId: "P001") {permitId status id __typename updatedAt issuedAt estimatedCost}}',
    "no row": '{permit(permitId: "nowhere") {permitId}}',
    "aliases": '{a: permit(permitId: "P001") {x: permitId y: permitId} b: permit(permitId: "P002") {permitId}}',
    "typenames": '{t: __typename permit(permitId: "P001") {__typename addresses {__typename}}}',
    "list": "{permits(first: 5) {nodes {permitId status neighborhood}}}",
    "backwards": "{permits(last: 5) {nodes {permitId} pageInfo {hasNextPage hasPreviousPage startCursor endCursor}}}",
    "page": "{permits(first: 5) {edges {cursor node {permitId}} totalCount __typename "
    "pageInfo {hasNextPage hasPreviousPage startCursor endCursor}}}",
    "none": "{permits(first: 0) {edges {cursor} nodes {id} totalCount pageInfo {hasNextPage endCursor}}}",
    "count": "{permits {totalCount}}",
    "filter": '{permits(filter: {status: {eq: "issued"}, or: [{estimatedCost: {gt: 10}}, '
    "{estimatedCost: {isNull: true}}]}, orderBy: [{issuedAt: DESC}]) {nodes {permitId issuedAt} totalCount}}",
    "nested": "{permits(first: 9) {nodes {permitId events(last: 2) {nodes {eventId eventType offset} "
    "pageInfo {hasPreviousPage startCursor}} addresses {streetName location {latitude longitude}} "
    "latestInspection {type}}}}",
    "deep": "{permitEvents(first: 9) {nodes {permit {permitId events(first: 1) "
    "{totalCount nodes {permit {status}}}}}}}",
    "groups": "{permitStats(groupBy: [STATUS], orderBy: [{count: DESC}]) {totalGroups groups {count "
    "key {status neighborhood} sum {estimatedCost} avg {estimatedCost} max {issuedAt}}}}",
    "one group": "{permitStats {groups {count min {estimatedCost}}}}",
    "fragments": "{permits(first: 3) {...A nodes {...B ... on Permit @include(if: true) {id}}}} "
    "fragment A on PermitConnection {nodes {status}} fragment B on Permit {permitId ...C} "
    "fragment C on Permit {zipcode}",
    "beside Python": "{me {subject} permits(first: 2) {nodes {permitId}} x: __typename}",
}


@pytest.fixture
def tiers(services: Services, recorder: RecordingDatabase) -> tuple[Operations, Operations]:
    """The same operations, compiled and by resolvers alone."""
    parts: Any = (build_schema(), replace(services, database=recorder), Context.for_operation, permission)
    return Operations(*parts), Operations(*parts, compiled=False)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_all_tiers_answer_the_same(
    tiers: tuple[Operations, Operations], city: None, actor: Actor, recorder: RecordingDatabase, name: str
) -> None:
    request = OperationRequest(OPERATIONS[name])
    compiled, resolved = [await each.execute(request, actor, "trace") for each in tiers]
    assert compiled.payload() == resolved.payload()
    assert list(compiled.data) == list(resolved.data)
    assert not compiled.errors
    assert tiers[0].runner.tiers == {2 if name == "beside Python" else 1: 1}


async def test_a_condition_that_is_null_is_a_clients_mistake(
    tiers: tuple[Operations, Operations], actor: Actor
) -> None:
    document = "query ($x: Boolean = true) {permits {totalCount @include(if: $x)}}"
    answer = await tiers[0].execute(OperationRequest(document, variables={"x": None}), actor, "trace")
    assert not answer.executed
    assert answer.refusal is None
    assert answer.errors
    assert answer.errors[0]["extensions"]["errorCode"] == "validation_error"


@pytest.mark.parametrize(("uses", "tier"), [(1, 1), (4, 1), (6, None)])
async def test_statements_of_many_conditions_are_written_beside_or_refused(
    tiers: tuple[Operations, Operations], city: None, actor: Actor, uses: int, tier: int | None
) -> None:
    fields = " ".join(f"a{place}: permits(first: {place}, filter: $filter) {{totalCount}}" for place in range(uses))
    conditions = {"or": [{"adu": {"eq": True}}] * 190}
    request = OperationRequest(f"query ($filter: PermitFilter) {{{fields}}}", variables={"filter": conditions})
    answer = await tiers[0].execute(request, actor, "trace")
    assert answer.executed is (tier is not None)
    assert tiers[0].runner.tiers == ({tier: 1} if tier else {})
    if not answer.executed:
        assert answer.errors
        assert "conditions" in answer.errors[0]["message"]
