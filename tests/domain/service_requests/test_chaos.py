"""Cities where a third of all calls fails, and workers that die all the time: a ticket each, or a person looks."""

import asyncio
import random
from collections import Counter
from dataclasses import replace

import msgspec

from lakefront.actor import Actor
from lakefront.domain.service_requests import STREAM, Filing, Relay, State, submit
from lakefront.domain.services import Services
from lakefront.eventlog.lake.locks import Locks
from lakefront.simulator import Fault, Kind, Simulator
from lakefront.simulator.tickets import Ticket
from tests.domain.outbox.outside import QUICK, rows, until, working
from tests.domain.service_requests.desk import ADA, ANGELES, BOSTON, NEW_YORK, reach, tickets

GIVEN = (msgspec.structs.replace(NEW_YORK, provider="nyc311"), BOSTON, ANGELES)
EACH = 5

PACE = replace(QUICK, retry_for=60.0, looking_for=60.0, lease=0.5, look_up_after=0.3, longest=5.0)


def reference(ticket: Ticket) -> str | None:
    """Ours, where the city knows it."""
    if ticket.system == "open311":
        return ticket.description.removeprefix("[Reference ").partition("]")[0]
    return ticket.reference if ticket.system == "la311" else None


async def test_every_request_becomes_one_ticket_or_is_there_for_a_person(
    desk: Services, actor: Actor, simulator: Simulator, dsn: str
) -> None:
    for provider, version in (("nyc311", "v1"), ("open311", "v2"), ("la311", "v1")):
        await reach(desk, actor, simulator, provider, version)
    simulator.faults.add(Fault(kind=Kind.ANY, probability=0.3, seconds=0.3))
    locks, draw = Locks(dsn), random.Random(1)
    relay = Relay(desk, locks, poll=0.05)

    async def dying() -> None:
        while True:
            async with working(desk, None, Filing(), pace=PACE):
                await asyncio.sleep(draw.uniform(0.3, 1.5))

    async def settled() -> bool:
        return not await rows(desk.database, "SELECT FROM lakefront.outbox WHERE due_at IS NOT NULL")

    async def told() -> bool:
        return not await rows(desk.database, "SELECT FROM lakefront.service_request_relay")

    running = [asyncio.create_task(work) for work in (dying(), dying(), relay.run())]
    try:
        for given in GIVEN * EACH:
            await submit(desk, ADA, given)
        await until(settled)
        await until(told)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await locks.close()
    found = await rows(desk.database, "SELECT request_id, provider, state, version FROM lakefront.service_requests")
    filed = Counter(map(reference, tickets(simulator)))
    for row in found:
        if row["provider"] != "nyc311":
            assert (row["state"], filed[row["request_id"]]) == (State.OPEN, 1)
    of_new_york = Counter(row["state"] for row in found if row["provider"] == "nyc311")
    assert set(of_new_york) <= {State.OPEN, State.UNCERTAIN}
    assert of_new_york[State.OPEN] <= filed[None] <= EACH
    letters = await rows(desk.database, "SELECT FROM lakefront.dead_letters WHERE state = 'WAITING' AND uncertain")
    assert len(letters) == of_new_york[State.UNCERTAIN]
    events = (await desk.log.read(actor, STREAM, {})).events
    assert Counter(event.event_id for event in events) == Counter(
        f"{row['request_id']}:{version}" for row in found for version in range(1, row["version"] + 1)
    )
