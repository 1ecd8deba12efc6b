"""What is compiled of a subscription tells each event as resolvers tell it: a thousand random events, whoever asks."""

from collections import Counter

import pytest

from tests.graphql.fuzz.explore import explore
from tests.graphql.fuzz.live import Subscriptions, compare_live
from tests.graphql.fuzz.operations import Drawn
from tests.graphql.fuzz.world import ASKERS, World

COUNT = 80
"""Subscriptions of one test, of four answers each."""


@pytest.mark.timeout(600)  # thousands of statements, on machines that stall
@pytest.mark.parametrize("asker", ASKERS)
async def test_compiled_events_are_told_as_plain_strawberry_tells_them(filled: World, asker: str) -> None:
    ran: Counter[str] = Counter()

    async def check(drawn: Drawn) -> None:
        ran.update(await compare_live(filled, ASKERS[asker], drawn))

    subscriptions = Subscriptions(filled.facts(ASKERS[asker]), filled.pools)
    assert await explore(subscriptions, check, count=COUNT, seed=3) == COUNT
    assert ran["tier 1"] > ran.total() / 2, f"too few were compiled to show anything: {ran}"
