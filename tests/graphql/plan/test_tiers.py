"""Operations that tiers once answered differently, each as small as it can be: the random ones found them."""

from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from tests.graphql.fuzz.compare import differences, told


@dataclass(frozen=True)
class Case:
    """What is asked, and the tier that answers it."""

    document: str
    variables: dict[str, Any] = field(default_factory=dict)
    tier: int = 1


CASES: Final = {
    "groups of which nothing is read": Case(
        "{ permitStats(groupBy: [STATUS]) { groups { __typename key { permitId } } } }"
    ),
    "no groups, of which nothing is read": Case("{ permitStats(first: 0) { groups { __typename } } }"),
    "constants about a page with rows": Case(
        '{ permits(last: 3, before: "WyI4MTU5MWM2N2U2OWQiLCAiUDAxMCJd") { pageInfo { hasNextPage } } }'
    ),
    "constants about a page without rows": Case(
        '{ permits(last: 3, filter: {permitId: {eq: ""}}) { pageInfo { hasNextPage __typename } } }'
    ),
    "constants about pages of related rows": Case(
        "{ permits(first: 9) { nodes { events(last: 2) { pageInfo { hasNextPage } __typename } } } }"
    ),
    "a page without members": Case("{ permits { totalCount @include(if: false) } }"),
    "a page without members, beside others": Case(
        "{ a: permits { totalCount @skip(if: true) } b: permits { totalCount nodes { id } __typename } }"
    ),
    "no root field": Case("{ __typename @include(if: false) }", tier=3),
    "a page whose members are constants": Case("{ permits { a: __typename b: __typename } }"),
    "ids that are no UUIDs": Case(
        '{ deadLetters(filter: {letterId: {in: ["P1"]}, jobId: {ne: "", like: "P%"}, not: {letterId: {lt: "P"}}}) '
        "{ totalCount } }"
    ),
    "a place next to the equator": Case(
        "query ($near: NearInput) { permits(filter: {addresses: {some: {location: {near: $near}}}}) { totalCount } }",
        {"near": {"latitude": 5e-324, "longitude": 1e-300, "meters": 1e-320}},
    ),
}


@pytest.fixture
def both(services: Services) -> tuple[Operations, Operations]:
    """Operations with compiled plans, and without."""
    schema = build_schema()
    compiled, plain = (
        Operations(schema, services, Context.for_operation, permission, compiled=each) for each in (True, False)
    )
    return compiled, plain


async def test_every_tier_gives_the_same_answer(both: tuple[Operations, Operations], city: None, actor: Actor) -> None:
    compiled, plain = both
    for name, case in CASES.items():
        request = OperationRequest(case.document, variables=case.variables)
        before = compiled.runner.tiers[case.tier]
        answer = await compiled.execute(request, actor, "trace")
        expected = await plain.execute(request, actor, "trace")
        assert list(differences(told(expected), told(answer))) == [], f"{name}: {answer.data}, not {expected.data}"
        assert "INTERNAL_ERROR" not in str(answer.errors), name
        assert compiled.runner.tiers[case.tier] == before + 1, f"{name} ran on another tier"
