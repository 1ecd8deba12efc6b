"""Who asked is told how their request goes on, until it has ended; then nobody knows how to reach them (C8)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from lakefront.domain.notices import RecipientKind, Reporters
from lakefront.domain.outbox import claims
from lakefront.domain.service_requests import (
    STREAM,
    CallerInput,
    EventType,
    Poller,
    Relay,
    ServiceRequest,
    State,
    UpdateInput,
    submit,
    update,
)
from lakefront.eventlog.lake.locks import Locks
from lakefront.simulator.faults import Fault, Kind
from lakefront.simulator.tickets import Stage
from tests.domain.notices.house import ADDRESS, NUMBER, QUICK, House, working
from tests.domain.outbox.outside import rows
from tests.domain.service_requests.desk import ADA, NEW_YORK, STAFF, filed, filing, reach, reached, tickets

ASKED = msgspec.structs.replace(
    NEW_YORK, notify=True, caller=CallerInput(first_name="Jane", last_name="Doe", phone=NUMBER, email=ADDRESS)
)
REPORTER: dict[str, Any] = {
    "stream": STREAM,
    "recipient_kind": RecipientKind.REPORTER,
    "event_types": (EventType.CLOSED, EventType.REJECTED),
    "subject": "${requestId}",
    "text": "It is ${state}.",
}


@pytest.fixture
async def locks(dsn: str) -> AsyncIterator[Locks]:
    made = Locks(dsn)
    yield made
    await made.close()


@pytest.fixture
def relay(house: House, locks: Locks) -> Relay:
    return Relay(house.services, locks, poll=0.05)


@pytest.fixture
def poller(house: House, locks: Locks) -> Poller:
    """Whose hour is no time at all."""
    return Poller(house.services, locks, interval=0.001, pause=0.001, look=0.01)


@pytest.fixture
async def opened(house: House) -> ServiceRequest:
    """A request that New York has, by somebody who asked to be told."""
    await reach(house.services, house.actor, house.city, "nyc311", "v1")
    async with filing(house.services):
        return await filed(house.services, ASKED)


async def kept(house: House) -> list[tuple[Any, ...]]:
    """What is known of those who reported."""
    found = await rows(
        house.services.database,
        "SELECT request_id, first_name, last_name, phone, email FROM lakefront.service_request_callers "
        "ORDER BY created_at",
    )
    return [tuple(row) for row in found]


async def close(house: House, poller: Poller) -> None:
    """The city closes all of its tickets, and is asked."""
    for ticket in tickets(house.city):
        house.city.tickets.decide(ticket, Stage.CLOSED, "Filled.")
    await poller.step()


async def test_who_asked_is_mailed_at_the_end_and_forgotten(
    house: House, opened: ServiceRequest, poller: Poller, relay: Relay
) -> None:
    await house.rule(**REPORTER)
    async with filing(house.services):
        await filed(house.services, msgspec.structs.replace(ASKED, notify=False))
    assert await kept(house) == [(opened.request_id, None, None, NUMBER, ADDRESS)]
    reporters = Reporters(house.services)
    for step in (reporters.step, relay.step, reporters.step):
        await step()
    await close(house, poller)
    await relay.step()
    await reporters.step()
    assert await kept(house), "the end is in the log, and not read yet"
    await house.plan()
    await reporters.step()
    assert await kept(house), "the notice waits to be sent"
    found = await house.sent()
    assert sorted(notice["state"] for notice in found) == ["SENT", "SKIPPED"], "the other one did not ask"
    await reporters.step()
    assert await kept(house) == []
    [mail] = house.messages("sendgrid")
    assert mail["personalizations"][0]["to"] == [{"email": ADDRESS}]
    assert (mail["subject"], mail["content"][0]["value"]) == (opened.request_id, "It is CLOSED.")


async def test_whoever_is_killed_in_between_they_are_mailed_once(
    house: House, opened: ServiceRequest, poller: Poller, relay: Relay, locks: Locks
) -> None:
    await house.rule(**REPORTER)
    services, reporters = house.services, Reporters(house.services)

    class Dying:
        """The log; whoever appends to it dies of it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(services.log, name)

        async def append(self, *given: Any, **options: Any) -> None:
            await services.log.append(*given, **options)
            raise asyncio.CancelledError

    # The poller, as the city answers.
    house.city.faults.add(Fault(kind=Kind.LOST, system="nyc311", seconds=30, times=1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await close(house, poller)
    await close(house, poller)
    # The relay, once the log has it; then whoever forgets comes too early.
    with pytest.raises(asyncio.CancelledError):
        await Relay(replace(services, log=Dying()), locks, poll=1.0).step()  # type: ignore[arg-type]
    await house.plan()
    await reporters.step()
    await relay.step()
    await reporters.step()
    # The worker, before the call.
    [due] = await claims.due(services.provisioner, ["notice.send"], most=5)
    dying = replace(QUICK, lease=0.1)
    assert await claims.claim(services.database, due, ["notice.send"], dying) is not None
    await reporters.step()
    assert await kept(house)
    assert [notice["state"] for notice in await house.sent()] == ["SENT"]
    await reporters.step()
    await relay.step()
    assert [notice["state"] for notice in await house.sent()] == ["SENT"]
    assert len(house.messages("sendgrid")) == 1
    assert await kept(house) == []


async def test_a_worker_killed_within_the_call_leaves_it_to_a_person_for_a_month(
    house: House, opened: ServiceRequest, poller: Poller, relay: Relay
) -> None:
    house.city.faults.add(Fault(kind=Kind.LOST, system="sendgrid", seconds=30, times=1))
    await house.rule(**REPORTER)
    await close(house, poller)
    await relay.step()
    await house.plan()
    async with working(house.services), asyncio.timeout(10):
        while not house.messages("sendgrid"):  # noqa: ASYNC110 - the city has no event for it
            await asyncio.sleep(0.01)
    assert [notice["state"] for notice in await house.sent()] == ["UNCERTAIN"]
    reporters = Reporters(house.services)
    await reporters.step()
    assert await kept(house), "who looks at SendGrid may have it sent"
    async with house.services.database.transaction("city") as transaction:
        await transaction.execute("UPDATE lakefront.service_request_callers SET ended_at = now() - interval '31 days'")
    await reporters.step()
    assert await kept(house) == []
    assert len(house.messages("sendgrid")) == 1


async def test_without_a_rule_the_end_is_the_end(
    house: House, opened: ServiceRequest, poller: Poller, relay: Relay
) -> None:
    await close(house, poller)
    for step in (relay.step, house.plan, Reporters(house.services).step):
        await step()
    assert await kept(house) == []


async def test_a_withdrawn_one_is_told_of_without_a_name_and_a_refused_one_can_be_filed_again(
    house: House, relay: Relay
) -> None:
    await house.rule(**REPORTER)
    await reach(house.services, house.actor, house.city, "nyc311", "v1")
    async with filing(house.services):
        wrong = msgspec.structs.replace(ASKED, agency="NOBODY")
        refused = await filed(house.services, wrong, ADA, State.REJECTED)
    withdrawn = (await submit(house.services, ADA, ASKED)).service_request
    await update(house.services, STAFF, UpdateInput(request_id=withdrawn.request_id, state=State.REJECTED))
    assert await kept(house) == [
        (refused.request_id, "Jane", "Doe", NUMBER, ADDRESS),
        (withdrawn.request_id, None, None, NUMBER, ADDRESS),
    ]
    await relay.step()
    assert [notice["state"] for notice in await house.sent()] == ["SENT", "SENT"]
    await Reporters(house.services).step()
    assert [row[0] for row in await kept(house)] == [refused.request_id]
    again = UpdateInput(request_id=refused.request_id, state=State.PENDING_EXTERNAL, agency="DOT")
    await update(house.services, STAFF, again)
    async with filing(house.services):
        await reached(house.services, refused, State.OPEN)
    assert await kept(house) == [(refused.request_id, None, None, NUMBER, ADDRESS)]


async def test_what_does_not_end_is_followed_for_a_year(
    house: House, opened: ServiceRequest, poller: Poller, locks: Locks
) -> None:
    months: tuple[tuple[Poller, int, int], ...] = (
        (poller, 40, 1),
        (Poller(house.services, locks, interval=3600, pause=0.001), 330, 0),
    )
    for each, days, left in months:
        async with house.services.database.transaction("city") as transaction:
            await transaction.execute(
                "WITH old AS (DELETE FROM lakefront.service_request_callers RETURNING *) "
                "INSERT INTO lakefront.service_request_callers "
                "(tenant_id, request_id, phone, email, notify, created_at) "
                "SELECT tenant_id, request_id, phone, email, notify, created_at - $1::interval FROM old",
                timedelta(days=days),
            )
        await each.step()
        assert len(await kept(house)) == left


async def test_nobody_who_asked_is_named_in_logs_events_jobs_and_notices(
    house: House, opened: ServiceRequest, poller: Poller, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await house.rule(**REPORTER)
    await close(house, poller)
    await relay.step()
    await house.sent()
    await Reporters(house.services).step()
    stored = []
    for table in ("service_requests", "service_request_changes", "events", "outbox", "notices", "dead_letters"):
        found = await rows(house.services.database, f"SELECT row_to_json(t)::text FROM lakefront.{table} t")
        stored += [text for (text,) in found]
        assert found or table == "dead_letters"
    # The access log of the city's own server is the receiver's affair.
    logged = [record.getMessage() for record in caplog.records if record.name != "uvicorn.access"]
    for told in map(str, (*stored, *logged)):
        for personal in ("Jane", NUMBER, ADDRESS):
            assert personal not in told, personal
