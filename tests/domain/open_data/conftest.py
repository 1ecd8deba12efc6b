"""A tenant that imports from a simulated publisher."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from tests.domain.calling import calling


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1, start=datetime(2026, 5, 28, 14, tzinfo=UTC), rows=60) as made:
        yield made


@pytest.fixture
async def importing(services: Services, actor: Actor, simulator: Simulator) -> AsyncIterator[Services]:
    async with calling(services, actor, simulator, "socrata") as made:
        yield made
