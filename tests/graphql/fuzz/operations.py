"""Whole operations: a document, the variables that go with it, the operation's name."""

from typing import Any, NamedTuple

from hypothesis.internal.conjecture.data import ConjectureData
from hypothesis.strategies import SearchStrategy

from tests.graphql.fuzz.arguments import Arguments
from tests.graphql.fuzz.choices import Choices
from tests.graphql.fuzz.facts import Facts
from tests.graphql.fuzz.selections import Selections
from tests.graphql.fuzz.values import Pools
from tests.graphql.fuzz.variables import ABSENT, Variables


class Drawn(NamedTuple):
    """What a client sends."""

    document: str
    variables: dict[str, Any]
    operation_name: str | None
    others: dict[str, Any]
    """Other values of its variables, with which it is sent again; none where there is nothing to change."""


class Queries(SearchStrategy[Drawn]):
    """Queries that are valid and of bounded size; some have values or fields that are refused."""

    def __init__(self, facts: Facts, pools: Pools) -> None:
        super().__init__()
        self._facts = facts
        self._pools = pools

    def do_draw(self, data: ConjectureData) -> Drawn:
        """One of them."""
        return _operation(Choices(data), self._facts, self._pools)


def drawing(choices: Choices, facts: Facts, pools: Pools) -> tuple[Variables, Selections]:
    """What draws the parts of one operation."""
    spoil, daring = choices.chance(12), choices.chance(6)
    variables = Variables(choices, spoil=spoil)
    arguments = Arguments(choices, facts, pools, variables, spoil=spoil)
    return variables, Selections(choices, facts, arguments, variables, daring=daring)


def _operation(choices: Choices, facts: Facts, pools: Pools) -> Drawn:
    variables, selections = drawing(choices, facts, pools)
    body = selections.root(facts.core.query_type)
    others = {**variables.values, **variables.others} if variables.others else {}
    others = {name: value for name, value in others.items() if value is not ABSENT}
    definitions, fragments = variables.definitions(), selections.fragments()
    if choices.chance(10):
        text = f"query Asked{definitions} {body}{fragments} query Other {{ __typename }}"
        return Drawn(text, variables.values, "Asked", others)
    head = f"query {definitions}" if definitions else choices.pick(("", "query ", "query Named "))
    return Drawn(f"{head}{body}{fragments}", variables.values, None, others)
