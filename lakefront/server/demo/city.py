"""The demo's outside world: a city simulator in this process, and integrations that lead to it (C14)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import msgspec

from lakefront.actor import system_actor
from lakefront.adapters.endpoint import is_loopback
from lakefront.domain import cities, integrations
from lakefront.domain.cities import CityInput
from lakefront.domain.integrations import IntegrationInput
from lakefront.domain.services import Services
from lakefront.errors import Unavailable
from lakefront.settings import Settings
from lakefront.simulator import Pace, Simulator

ACTOR: Final = replace(system_actor(), subject="demo")
"""Who sets the demo up: what somebody else has changed since is not touched."""

SEED: Final = 311
PACE: Final = Pace(progress=60, close=300)
"""Seconds until tickets are worked on, and closed: soon enough to be watched."""

CITIES: Final = (
    CityInput(slug="bos", name="Boston", latitude=42.3601, longitude=-71.0589, time_zone="America/New_York"),
    CityInput(slug="la", name="Los Angeles", latitude=34.0522, longitude=-118.2437, time_zone="America/Los_Angeles"),
    CityInput(slug="nyc", name="New York", latitude=40.7128, longitude=-74.006, time_zone="America/New_York"),
)

_log = logging.getLogger(__name__)


def wanted(settings: Settings) -> bool:
    """Whether a simulator may be called from here: on a server that this machine alone reaches."""
    return settings.loopback_integrations and is_loopback(settings.host)


@asynccontextmanager
async def simulated() -> AsyncIterator[Simulator]:
    """A city that runs while the block does."""
    async with Simulator(SEED, pace=PACE) as city:
        yield city


async def run(services: Services, city: Simulator) -> None:
    """Have cities, and integrations that lead to ``city`` unless somebody set up the same; an outage is waited out."""
    while True:
        try:
            await _set_up(services, city)
        except Unavailable as away:
            _log.info("the demo's city waits: %s", away.message)
            await asyncio.sleep(away.retry_after or 1)
        else:
            return


async def _set_up(services: Services, city: Simulator) -> None:
    there = {each.slug for each in await cities.cities(services, ACTOR)}
    for made_up in CITIES:
        if made_up.slug not in there:
            await cities.upsert(services, ACTOR, made_up)
    taken = {
        (each.provider, each.city)
        for each in await integrations.integrations(services, ACTOR)
        if each.updated_by != ACTOR.subject
    }
    for way in _todays(city.endpoints()):
        if (way["provider"], way["city"]) not in taken:
            await integrations.upsert(services, ACTOR, msgspec.convert(way, IntegrationInput))


def _todays(ways: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first way into each system of each city: today's form."""
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for way in ways:
        first.setdefault((way["provider"], way["city"]), way)
    return list(first.values())
