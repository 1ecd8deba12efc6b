"""Every tier gives the same answer: two thousand random operations, whoever asks (`make fuzz` runs fifty thousand)."""

from collections import Counter

import pytest

from tests.graphql.fuzz.compare import BESIDE, INSIDE, compare
from tests.graphql.fuzz.explore import explore
from tests.graphql.fuzz.operations import Drawn, Queries
from tests.graphql.fuzz.world import ASKERS, World

COUNT = 180
"""Documents of one test; most run twice, with other variables."""

OPERATIONS = 250
"""Operations of one test at least: eight tests run 2,000."""


@pytest.mark.timeout(600)  # thousands of statements, on machines that stall
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("asker", ASKERS)
async def test_compiled_operations_are_answered_as_plain_strawberry_answers(
    filled: World, asker: str, seed: int
) -> None:
    ran: Counter[str] = Counter()

    async def check(drawn: Drawn) -> None:
        ran.update(await compare(filled, ASKERS[asker], drawn))

    queries = Queries(filled.facts(ASKERS[asker]), filled.pools)
    assert await explore(queries, check, count=COUNT, seed=seed) == COUNT
    assert ran.total() >= OPERATIONS
    assert ran[INSIDE] > ran.total() / 50, f"too few had Python fields in rows that SQL read: {ran}"
    compiled = ran["tier 1"] + ran[INSIDE] + ran[BESIDE]
    # Ids of what the world has no rows of (dead letters, alerts) are made up, and mostly refused.
    assert compiled > ran.total() * 2 / 5, f"too few ran as a statement to show anything: {ran}"
