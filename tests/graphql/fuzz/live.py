"""Random selections of live events: compiled, they tell what resolvers tell."""

import json
from contextlib import aclosing
from typing import Any

from hypothesis.internal.conjecture.data import ConjectureData
from hypothesis.strategies import SearchStrategy

from lakefront.graphql.answers import Answer, OperationRequest
from lakefront.graphql.operations import Operations
from tests.graphql.fuzz.choices import Choices
from tests.graphql.fuzz.compare import TRACE, Difference, differences, told
from tests.graphql.fuzz.events import MOST_SKIPPED
from tests.graphql.fuzz.facts import Facts
from tests.graphql.fuzz.operations import Drawn, drawing
from tests.graphql.fuzz.values import Pools
from tests.graphql.fuzz.world import Asker, World


class Subscriptions(SearchStrategy[Drawn]):
    """Subscriptions that are valid and of bounded size; some have values or fields that are refused."""

    def __init__(self, facts: Facts, pools: Pools) -> None:
        super().__init__()
        self._facts = facts
        self._pools = pools

    def do_draw(self, data: ConjectureData) -> Drawn:
        """One of them."""
        choices = Choices(data)
        variables, selections = drawing(choices, self._facts, self._pools)
        types = self._facts.core.type_map
        below = selections.below(types["PermitEventDelivery"])
        if choices.chance(70):
            event, permit = (selections.below(types[name]) for name in ("PermitEvent", "Permit"))
            below = choices.pick((f"{{ event {event} permit {permit} }}", f"{{ last: permit {permit} event {event} }}"))
        body = f"{{ eventsTold(skip: {choices.number(0, MOST_SKIPPED)}) {below} }}"
        text = f"subscription {variables.definitions()} {body}{selections.fragments()}"
        return Drawn(text, variables.values, None, {})


async def compare_live(world: World, asker: Asker, drawn: Drawn) -> list[str]:
    """What told each of the events: ``tier 1`` … ``tier 3``, ``refused``; raises ``Difference``."""
    compiled, plain = world.tiers[asker.forbidden_fields]
    request = OperationRequest(drawn.document, drawn.operation_name, drawn.variables)
    ran, answers = await _followed(compiled, asker, request)
    _, expected = await _followed(plain, asker, request)
    if any(differences(expected, answers)):
        lines = (
            f"{asker.actor.subject} of {asker.actor.tenant} ({ran}) is told otherwise",
            f"document: {request.document}",
            f"variables: {json.dumps(request.variables)}",
            f"compiled: {json.dumps(answers)[:3000]}",
            f"plain: {json.dumps(expected)[:3000]}",
        )
        raise Difference("\n".join(lines))
    return ran


async def _followed(operations: Operations, asker: Asker, request: OperationRequest) -> tuple[list[str], list[Any]]:
    operation = operations.prepare(request, asker.actor, TRACE)
    if isinstance(operation, Answer):
        return ["refused"], [told(operation)]
    ran, answers = [], []
    async with aclosing(operations.follow(operation)) as following:
        async for answer in following:
            ran.append("refused" if answer.tier is None else f"tier {answer.tier}")
            answers.append(told(answer))
    return ran, answers
