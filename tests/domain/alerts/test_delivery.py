"""Through the outbox's own worker, whatever is killed in between: one page, one end, and every change told once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from lakefront.actor import Actor
from lakefront.adapters.providers.pagerduty import PagerDuty
from lakefront.domain import alerts, integrations
from lakefront.domain.outbox.worker import OutboxWorker
from lakefront.errors import Unavailable, UpstreamError
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from tests.domain.alerts.server import Server, at_once
from tests.domain.alerts.test_evaluate import BROKEN, pages


async def until(done: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110 - nothing else tells it
            await asyncio.sleep(0.02)


@pytest.fixture
async def worker(server: Server) -> AsyncIterator[OutboxWorker]:
    """The server's worker, which runs."""
    made = OutboxWorker(server.services, None, alerts.HANDLERS)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await made.close()


async def test_the_worker_pages_through_faults(
    server: Server, worker: OutboxWorker, actor: Actor, simulator: Simulator
) -> None:
    await at_once(server, actor)
    simulator.faults.set(
        [BROKEN, *(Fault(kind=kind, system="pagerduty", times=1) for kind in (Kind.RESET_AFTER, Kind.ERROR_AFTER))]
    )
    await server.call(times=2)
    await server.look()
    worker.wake()
    await until(lambda: bool(simulator.alerts))
    [alert] = await server.rows()
    await alerts.acknowledge(server.services, actor, alert["alert_id"])
    worker.wake()
    await until(lambda: pages(simulator)[0][0] == "acknowledged")
    assert len(simulator.alerts) == 1  # told again by its key, it stays one
    assert set(simulator.alerts) == {alert["dedup_key"]}


async def test_killed_between_steps_nothing_is_lost_or_twice(
    server: Server, another: Callable[[], Server], actor: Actor, simulator: Simulator
) -> None:
    await at_once(server, actor)
    simulator.faults.set([BROKEN])
    await server.call(times=2)
    await server.evaluator._sightings.tell()
    other = another()
    await other.evaluator.evaluate("city")  # and this one, before it tells the log
    assert await other.events(actor) == []
    third = another()
    await third.look()
    assert [event.event_type for event in await third.events(actor)] == ["alert.fired"]
    async with third.services.database.transaction("city") as transaction:  # as if killed before it was noted
        await transaction.execute("UPDATE lakefront.alert_changes SET published = false WHERE tenant_id = 'city'")
    await asyncio.gather(*(alerts.publish(third.services, "city") for _ in range(3)))
    assert len(await third.events(actor)) == 1
    assert len(await third.rows("outbox")) == 2
    assert await third.carry_out() == 2
    assert pages(simulator) == [("triggered", ["trigger"])]


async def test_a_page_that_comes_late_tells_where_the_alert_stands(
    server: Server, actor: Actor, simulator: Simulator
) -> None:
    await at_once(server, actor)
    simulator.faults.set([BROKEN])
    await server.call(times=2)
    await server.look()
    simulator.faults.set([])
    await asyncio.sleep(0.03)
    await server.call()
    await server.look(4)
    assert [row["state"] for row in await server.rows()] == ["RESOLVED"]
    await server.carry_out()
    assert simulator.alerts == {}  # nobody is called for what is over
    assert [each["body"]["type"] for each in simulator.webhooks] == ["alert.fired", "alert.resolved"]


async def test_who_is_in_trouble_is_not_asked_to_tell_of_it(server: Server, actor: Actor, simulator: Simulator) -> None:
    await at_once(server, actor)
    simulator.faults.set([Fault(kind=Kind.ERROR, system="pagerduty")])
    for _ in range(2):
        with suppress(UpstreamError):
            await _ping(server)
    await server.look()
    [alert] = await server.rows()
    assert (alert["provider"], alert["city"]) == ("pagerduty", "")
    assert [job["kind"] for job in await server.rows("outbox")] == ["alert.tell"]


async def test_without_postgresql_it_waits(server: Server) -> None:
    await server.services.database.close()
    with pytest.raises(Unavailable):
        await server.look()


async def _ping(server: Server) -> None:
    await (await integrations.adapter(server.services, PagerDuty, "city")).test()
