"""Ingest: a verdict an event, all or none when asked, the same by every try (X2, X6)."""

import asyncio
import sys

import pytest

from lakefront.actor import Actor
from lakefront.db.tables.log import events as events_table
from lakefront.domain import permits
from lakefront.domain.permits import ingest
from lakefront.domain.services import Services
from lakefront.errors import Forbidden, IdempotencyConflict, ValidationError
from lakefront.eventlog.events import Outcome
from tests.domain.permits.events import text


async def stored(services: Services, actor: Actor) -> int:
    return len(await services.database.rows(actor.tenant, events_table.select()))


async def test_each_event_gets_its_verdict(services: Services, actor: Actor) -> None:
    batch = [text(), text(), text(eventData={"newStatus": "denied"}), text(eventId="b", permitId=5), text(eventId="c")]
    report = await ingest(services, actor, batch)
    assert (report.received, report.accepted, report.duplicates, report.rejected) == (5, 2, 1, 2)
    assert [(verdict.index, verdict.event_id, verdict.outcome, verdict.field) for verdict in report.verdicts] == [
        (1, "evt_12345", Outcome.DUPLICATE, None),
        (2, "evt_12345", Outcome.CONFLICT, "eventId"),
        (3, "b", Outcome.REJECTED, "permitId"),
    ]
    again = await ingest(services, actor, [text()])
    assert (again.accepted, again.duplicates) == (0, 1)
    assert await stored(services, actor) == 2


async def test_a_batch_without_a_valid_event_is_an_error(services: Services, actor: Actor) -> None:
    with pytest.raises(ValidationError) as caught:
        await ingest(services, actor, [text(permitId=...), b"7"])
    assert [detail["field"] for detail in caught.value.details] == ["[0].permitId", "[1]"]
    with pytest.raises(ValidationError):
        await ingest(services, actor, [])


async def test_atomic_takes_all_or_none(services: Services, actor: Actor) -> None:
    with pytest.raises(ValidationError) as caught:
        await ingest(services, actor, [text(eventId="a"), text(eventId="b", timestamp=...)], atomic=True)
    assert caught.value.details[0]["index"] == 1
    await ingest(services, actor, [text()])
    conflict = [text(eventId="a"), text(eventData={"newStatus": "denied"})]
    with pytest.raises(ValidationError) as caught:
        await ingest(services, actor, conflict, atomic=True)
    assert "conflict" in {detail["verdict"] for detail in caught.value.details}
    assert await stored(services, actor) == 1
    report = await ingest(services, actor, [text(eventId="a"), text()], atomic=True)
    assert (report.accepted, report.duplicates) == (1, 1)


async def test_a_dry_run_tells_and_writes_nothing(services: Services, actor: Actor) -> None:
    await ingest(services, actor, [text()])
    report = await ingest(services, actor, [text(), text(eventId="a"), text(eventId="b", permitId="")], dry_run=True)
    assert (report.accepted, report.duplicates, report.rejected) == (1, 1, 1)
    assert await stored(services, actor) == 1


async def test_an_idempotency_key_gives_the_stored_result(services: Services, actor: Actor) -> None:
    first = await ingest(services, actor, [text()], idempotency_key="k")
    again = await ingest(services, actor, [text()], idempotency_key="k")
    assert first == again
    assert again.accepted == 1
    with pytest.raises(IdempotencyConflict):
        await ingest(services, actor, [text(eventId="other")], idempotency_key="k")
    other = Actor("somebody else", actor.tenant, actor.scopes)
    assert (await ingest(services, other, [text()], idempotency_key="k")).duplicates == 1
    with pytest.raises(ValidationError):
        await ingest(services, actor, [text()], idempotency_key="")


async def test_racing_requests_with_one_key_get_one_result(services: Services, actor: Actor) -> None:
    reports = await asyncio.gather(*(ingest(services, actor, [text()], idempotency_key="k") for _ in range(5)))
    assert [report.accepted for report in reports] == [1] * 5
    assert await stored(services, actor) == 1


async def test_a_reader_may_not_write(services: Services) -> None:
    with pytest.raises(Forbidden):
        await ingest(services, Actor("r", "city", frozenset({"permits:read"})), [text()])


async def test_many_events_go_in_parts(services: Services, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["lakefront.domain.permits.ingest"], "CHUNK", 7)
    report = await ingest(services, actor, [text(eventId=f"e{number % 20}") for number in range(30)])
    assert (report.received, report.accepted, report.duplicates) == (30, 20, 10)
    assert [verdict.index for verdict in report.verdicts] == list(range(20, 30))
    assert permits.STREAM == "sf-permit-events"
