"""The demo's outside world: a city simulator in this process, integrations that lead to it, people who report (C14)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any, Final

import msgspec

from lakefront.actor import system_actor
from lakefront.adapters.endpoint import is_loopback
from lakefront.domain import cities, integrations, open_data, service_requests
from lakefront.domain.cities import CityInput
from lakefront.domain.integrations import IntegrationInput
from lakefront.domain.service_requests import SubmitInput
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError
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

DATA_SETS: Final = ("erm2-nwe9", "43nn-pn8j")
"""What is imported once: New York's 311 requests and food inspections, as the made-up city publishes them."""

REPORTS: Final = (
    SubmitInput(city="bos", service_code="002", complaint_type="Missed Collection", description="The bins are full."),
    SubmitInput(city="nyc", service_code="002", complaint_type="Missed Collection", description="Nobody came today."),
    SubmitInput(city="la", service_code="Pothole", complaint_type="Pothole", description="A hole in the road."),
    SubmitInput(city="la", service_code="Graffiti Removal", complaint_type="Graffiti", description="On the wall."),
)

PAUSE: Final = 20.0
"""Seconds between two reports, about."""

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
    """Have cities, integrations that lead to ``city`` unless somebody set up the same, data, and reports for ever.

    An outage is waited out.
    """
    await _persist(lambda: _set_up(services, city))
    for dataset in DATA_SETS:
        await _persist(lambda: _import(services, dataset))  # noqa: B023 - called before the next one
    random = Random()  # noqa: S311 - made-up data
    while True:
        await asyncio.sleep(PAUSE * random.uniform(0.5, 1.5))
        await _persist(lambda: _report(services, random))


async def _persist(step: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await step()
        except LakefrontError as failed:
            _log.info("the demo's city waits: %s", failed.message)
            await asyncio.sleep(max(failed.retry_after or 0, PAUSE / 4))
        else:
            return


async def _import(services: Services, dataset: str) -> None:
    if await open_data.latest(services, ACTOR, dataset) is None:
        await open_data.ask_for(services, ACTOR, dataset)


async def _report(services: Services, random: Random) -> None:
    report = random.choice(REPORTS)
    street = f"{random.randrange(1, 900)} {random.choice(('Main Street', 'Broadway', 'Grand Avenue'))}"
    await service_requests.submit(services, ACTOR, msgspec.structs.replace(report, address=street))


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
