"""Fixtures of the service requests' tests."""

from collections.abc import AsyncIterator

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from tests.domain.calling import calling


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1) as city:
        yield city


@pytest.fixture
async def desk(services: Services, actor: Actor, simulator: Simulator) -> AsyncIterator[Services]:
    """What use-cases work with, New York and Boston set up, and none of their systems."""
    async with calling(services, actor, simulator, "") as made:
        yield made
