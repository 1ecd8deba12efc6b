"""Fixtures of the notices' tests."""

from collections.abc import AsyncIterator

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from tests.domain.calling import calling
from tests.domain.notices.house import House


@pytest.fixture
async def house(services: Services, actor: Actor) -> AsyncIterator[House]:
    """A tenant that can send by every channel."""
    limits = {"twilio": "", "slack": ""}
    async with (
        Simulator(seed=1, limits=limits) as city,
        calling(services, actor, city, "sendgrid twilio slack") as made,
    ):
        yield House(made, actor, city)
