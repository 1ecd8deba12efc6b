"""Queries: what a tenant is told is what it would be told were it the only one."""

from typing import Any

import pytest

from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.schema import build_schema
from tests.isolation.documents import Documents
from tests.isolation.explore import explore
from tests.isolation.leaks import MARKERS, Leak, heard, other
from tests.isolation.loot import loot
from tests.isolation.world import World

EXAMPLES = 40


_MOVING = {"traceId", "timestamp", "from", "to", "start", "points", "eventsPerSecond", "seconds"}
"""Members that are of the moment or of the request."""

MANAGERS = ("policyRules", "tenants")
"""Root fields that a tenant is refused before anything runs: they would hide what stands beside them."""

COMPILED = ("lakeObjects", "node", "permit", "permitEvents", "permitStats", "permits")
"""Root fields that SQL answers, about which there is most to be found out."""


async def interrogate(world: World, attacker: str, *, examples: int = EXAMPLES, shrink: bool = True) -> None:
    """Ask random queries as ``attacker``; raises ``Leak`` where an answer depends on what the other one has."""
    answered, actor = 0, await world.actor(attacker)
    before = dict(world.operations.runner.tiers)

    async def check(document: str) -> None:
        nonlocal answered
        response = await world.ask(attacker, document)
        heard(f"{attacker}'s {document}", response, MARKERS[other(attacker)])
        answer = response.json()
        were_it_alone = (await world.alone[attacker].execute(OperationRequest(document), actor, "alone")).payload()
        if still(answer) != still(were_it_alone):
            raise Leak(f"{attacker}'s {document} is answered\n{answer}\nand without {other(attacker)}\n{were_it_alone}")
        answered += "errors" not in answer

    documents = Documents(build_schema()._schema, await loot(world, attacker))
    await explore(
        documents.operations("query", without=MANAGERS, often=COMPILED), check, examples=examples, shrink=shrink
    )
    made = {tier: count - before.get(tier, 0) for tier, count in world.operations.runner.tiers.items()}
    assert made.get(1, 0) + made.get(2, 0) > examples / 3, f"too few were compiled to show anything: {made}"
    assert answered > examples / 5, f"of {examples} queries only {answered} were answered without errors"


def still(answer: Any) -> Any:
    """``answer`` without what is of the moment."""
    if isinstance(answer, dict):
        return {name: still(value) for name, value in answer.items() if name not in _MOVING}
    return [still(item) for item in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("attacker", MARKERS)
async def test_an_answer_is_what_it_were_without_the_other_tenant(world: World, attacker: str) -> None:
    await interrogate(world, attacker)


@pytest.mark.parametrize("attacker", MARKERS)
async def test_what_is_for_managers_of_tenants_is_refused(world: World, attacker: str) -> None:
    for document in (
        "{ tenants(first: 9) { nodes { tenantId } } }",
        f'{{ tenant(tenantId: "{other(attacker)}") {{ status }} }}',
    ):
        answer = await world.ask(attacker, document)
        assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["FORBIDDEN"]
