"""Every door at once: GraphQL, WebSocket, SSE and REST, with the other tenant's ids, cursors, keys and objects."""

import logging

import pytest

from tests.isolation.leaks import MARKERS, heard, told
from tests.isolation.siege import besiege
from tests.isolation.world import World

EXAMPLES = 25


@pytest.mark.parametrize("attacker", MARKERS)
async def test_no_door_shows_or_changes_anything_of_the_other_tenant(
    world: World, attacker: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="lakefront")
    answered = await besiege(world, attacker, examples=EXAMPLES)
    assert all(answered.values()), f"a door was never opened: {answered}"
    told("the log", caplog.text, *MARKERS.values())
    metrics = await world.served.client.get("/metrics", headers=world.served.bearer("monitor"))
    assert metrics.status_code == 200
    heard("the metrics", metrics, *MARKERS.values(), *MARKERS)
