"""From a breaker that opens to a pager that is told, once, whatever happens in between (C2, C13)."""

import asyncio
import re
from collections.abc import Callable

from lakefront.actor import Actor
from lakefront.domain import alerts
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from tests.domain.alerts.server import Server, at_once

BROKEN = Fault(kind=Kind.ERROR, system="geoclient")


def pages(simulator: Simulator) -> list[tuple[str, list[str]]]:
    """Of each alert at the pager: where it stands, and what was said of it."""
    return [(told["status"], [event["action"] for event in told["events"]]) for told in simulator.alerts.values()]


async def test_an_open_breaker_pages_once_is_acknowledged_and_resolved(
    server: Server, actor: Actor, simulator: Simulator
) -> None:
    simulator.faults.set([BROKEN])
    await server.call(times=2)
    await server.look(3)
    assert await server.rows() == []  # five minutes are not over
    await at_once(server, actor)
    await server.look(3)
    await server.carry_out()
    assert pages(simulator) == [("triggered", ["trigger"])]
    assert await alerts.open_by_level(server.services.provisioner) == {1: 1, 2: 0, 3: 0}
    [alert] = await server.rows()
    assert (alert["state"], alert["level"], alert["provider"], alert["city"]) == ("FIRING", 1, "geoclient", "nyc")
    assert re.fullmatch(r"geoclient of nyc has failed for \d+ s: its breaker is open", alert["summary"])

    done = await alerts.acknowledge(server.services, actor, alert["alert_id"])
    assert done.changed
    await server.carry_out()
    assert pages(simulator) == [("acknowledged", ["trigger", "acknowledge"])]
    assert not (await alerts.acknowledge(server.services, actor, alert["alert_id"])).changed

    simulator.faults.set([])
    await asyncio.sleep(0.03)
    await server.call()
    await server.look(4)
    await server.carry_out()
    assert pages(simulator) == [("resolved", ["trigger", "acknowledge", "resolve"])]
    assert [event.event_type for event in await server.events(actor)] == [
        *("alert.fired", "alert.acknowledged", "alert.resolved")
    ]
    told = [(each["body"]["type"], each["problem"]) for each in simulator.webhooks]
    assert told == [("alert.fired", None), ("alert.acknowledged", None), ("alert.resolved", None)]


async def test_two_evaluators_raise_one_alert_until_neither_sees_it(
    another: Callable[[], Server], actor: Actor, simulator: Simulator
) -> None:
    one, two = another(), another()
    await at_once(one, actor)
    simulator.faults.set([BROKEN])
    await one.call(times=2)
    await two.call(times=2)
    for _ in range(4):
        await asyncio.gather(one.look(), two.look(), one.evaluator.evaluate("city"), two.evaluator.evaluate("city"))
    assert len(await one.rows()) == 1
    simulator.faults.set([])
    await asyncio.sleep(0.03)
    await one.call()
    await one.look(4)
    assert [row["state"] for row in await one.rows()] == ["FIRING"]  # the other still cannot reach it
    await two.evaluator.close()
    await one.look(4)
    assert [row["state"] for row in await one.rows()] == ["RESOLVED"]
    await one.carry_out()
    assert len(await one.events(actor)) == 2
