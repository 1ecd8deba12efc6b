"""Every tier gives the same answer: two thousand random operations, whoever asks (`make fuzz` runs fifty thousand)."""

from collections import Counter

import pytest

from tests.graphql.fuzz.compare import compare
from tests.graphql.fuzz.explore import explore
from tests.graphql.fuzz.operations import Drawn, Queries
from tests.graphql.fuzz.world import ASKERS, World

COUNT = 260
"""Operations of one test: eight tests run 2,080."""


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("asker", ASKERS)
async def test_compiled_operations_are_answered_as_plain_strawberry_answers(
    filled: World, asker: str, seed: int
) -> None:
    ran: Counter[str] = Counter()

    async def check(drawn: Drawn) -> None:
        ran[await compare(filled, ASKERS[asker], drawn)] += 1

    queries = Queries(filled.facts(ASKERS[asker]), filled.pools)
    assert await explore(queries, check, count=COUNT, seed=seed) == COUNT
    assert ran["tier 1"] > COUNT / 2, f"too few ran as one statement to show anything: {ran}"
