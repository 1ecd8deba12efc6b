"""Fixtures of the service requests' tests."""

from collections.abc import AsyncIterator

import pytest

from lakefront.actor import Actor
from lakefront.domain import cities
from lakefront.domain.cities import CityInput
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from tests.domain.calling import calling


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1) as city:
        yield city


@pytest.fixture
async def desk(services: Services, actor: Actor, simulator: Simulator) -> AsyncIterator[Services]:
    """What use-cases work with; three cities are there, and none of their systems."""
    async with calling(services, actor, simulator, "") as made:
        await cities.upsert(made, actor, CityInput("la", "Los Angeles"))
        yield made
