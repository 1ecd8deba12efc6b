"""What fails at one tenant keeps no other from being told (C13)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from lakefront.actor import Actor
from lakefront.adapters.calls import Calls
from lakefront.domain import alerts
from lakefront.domain.alerts import Evaluator
from lakefront.domain.services import Services
from lakefront.errors import NotFound, Unavailable
from lakefront.eventlog.events import Appended, NewEvent
from lakefront.eventlog.lake.locks import Locks
from lakefront.simulator import Simulator
from tests.domain.alerts.server import POLICY, Server, at_once
from tests.domain.alerts.test_evaluate import BROKEN
from tests.domain.calling import calling


class Deaf:
    """The log, that takes nothing of the tenant ``city``."""

    def __init__(self, services: Services) -> None:
        self._log = services.log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, actor: Actor, stream: str, events: Sequence[NewEvent]) -> list[Appended]:
        """As the log does."""
        if actor.tenant == "city":
            raise Unavailable("The log is not reachable right now.")
        return list(await self._log.append(actor, stream, events))


@pytest.mark.parametrize("deaf", [True, False])
async def test_one_tenants_trouble_is_its_own(
    outside: Services, actor: Actor, simulator: Simulator, deaf: bool
) -> None:
    other = replace(actor, tenant="village")
    calls, locks = Calls(loopback=True, policy=POLICY), Locks(outside.database.dsn)
    async with calling(outside, other, simulator, "geoclient") as both:
        log: Any = Deaf(both) if deaf else both.log
        services = replace(both, calls=calls, log=log)
        server = Server(services, Evaluator(services, locks, interval=0.05))
        if not deaf:
            connection = await asyncpg.connect(outside.database.dsn)
            await connection.execute("ALTER TABLE lakefront.alert_sightings ADD CHECK (tenant_id <> 'city')")
            await connection.close()
        for each in (actor, other):
            await at_once(server, each)
        simulator.faults.set([BROKEN])
        await server.call(times=2)
        await server.call("village", times=2)
        await server.look(2)
        assert [row["state"] for row in await server.rows(tenant="village")] == ["FIRING"]
    await calls.close()
    await locks.close()


async def test_an_id_that_cannot_be_one_is_no_alert(server: Server, actor: Actor) -> None:
    with pytest.raises(NotFound):
        await alerts.acknowledge(server.services, actor, "al-\0")
