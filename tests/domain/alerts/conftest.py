"""A tenant whose geocoder can be made to fail, whose pager and whose own server are the simulated city's."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from lakefront.actor import Actor
from lakefront.adapters.calls import Calls
from lakefront.domain.alerts import Evaluator
from lakefront.domain.services import Services
from lakefront.eventlog.lake.locks import Locks
from lakefront.simulator import Simulator
from tests.domain.alerts.server import POLICY, Server
from tests.domain.calling import calling


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1) as running:
        yield running


@pytest.fixture
async def outside(services: Services, actor: Actor, simulator: Simulator) -> AsyncIterator[Services]:
    """``services`` of a tenant that reaches geocoder, pager and webhook."""
    async with calling(services, actor, simulator, "geoclient pagerduty webhook") as made:
        yield made


@pytest.fixture
async def another(outside: Services) -> AsyncIterator[Callable[[], Server]]:
    """Makes servers of one installation: each with breakers of its own, a look every 50 ms."""
    async with AsyncExitStack() as stack:

        def made() -> Server:
            calls, locks = Calls(loopback=True, policy=POLICY), Locks(outside.database.dsn)
            stack.push_async_callback(calls.close)
            stack.push_async_callback(locks.close)
            services = replace(outside, calls=calls)
            return Server(services, Evaluator(services, locks, interval=0.05))

        yield made


@pytest.fixture
def server(another: Callable[[], Server]) -> Server:
    return another()
