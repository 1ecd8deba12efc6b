"""A tenant whose outside systems are those of a simulated city."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from redis.asyncio import Redis

from lakefront.actor import Actor
from lakefront.adapters.calls import Calls, Policy
from lakefront.domain import cities, integrations
from lakefront.domain.answers import Answers
from lakefront.domain.cities import CityInput
from lakefront.domain.integrations import Endpoints, IntegrationInput
from lakefront.domain.services import Services
from lakefront.settings import Settings
from lakefront.simulator import Simulator

IMPATIENT = Policy(tries=2, first_pause=0.01, longest_pause=0.02, try_timeout=1.0, total_timeout=3.0)
"""A call that fails does so before long."""


@asynccontextmanager
async def calling(
    services: Services, actor: Actor, simulator: Simulator, providers: str, redis: "Redis | None" = None
) -> AsyncIterator[Services]:
    """``services`` that reach ``providers`` (their names, in today's form) in the simulator, New York's as ``nyc``."""
    settings = Settings(rate_limits="off", loopback_integrations=True)
    calls, answers = Calls(redis, loopback=True, policy=IMPATIENT), Answers(redis)
    # Servers of one database have the same keys.
    endpoints = Endpoints(services.database, services.endpoints.keys)
    made = replace(services, settings=settings, endpoints=endpoints, calls=calls, answers=answers)
    await cities.upsert(made, actor, CityInput("nyc", "New York"))
    await cities.upsert(made, actor, CityInput("bos", "Boston"))
    for provider in providers.split():
        door = next(each for each in simulator.endpoints() if each["provider"] == provider)
        await integrations.upsert(made, actor, IntegrationInput(**door))
    made.endpoints.changed()
    try:
        yield made
    finally:
        await answers.close()
        await calls.close()
