"""From an event to the message that arrives, by every way, each once (C8)."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from lakefront.domain import notices
from lakefront.domain.notices import Channel, Condition, Operator, RecipientKind, WebhookChanges
from lakefront.domain.notices.planning import CONSUMER
from lakefront.domain.outbox import claims, letters
from lakefront.domain.permits import STREAM as PERMITS
from lakefront.domain.service_requests import STREAM as REQUESTS
from lakefront.simulator.faults import Fault, Kind
from tests.domain.notices.house import ADDRESS, NUMBER, QUICK, House, working

TEXT = "Permit P1 is issued."


async def test_each_way_arrives_once_and_is_told_of(house: House) -> None:
    hook = await house.webhook()
    await house.rule(Channel.MAIL)
    await house.rule(Channel.SMS)
    await house.rule(Channel.SLACK)
    await house.rule(Channel.WEBHOOK, webhook_id=hook.webhook.webhook_id)
    event_id = await house.happens()
    found = {notice["channel"]: notice for notice in await house.sent()}
    assert {notice["state"] for notice in found.values()} == {"SENT"}
    assert {notice["event_id"] for notice in found.values()} == {event_id}
    assert found["MAIL"]["recipient"] == "j…@e….com"
    assert found["SMS"]["recipient"] == "+1…23"
    assert found["MAIL"]["external_id"]
    assert found["SMS"]["external_id"].startswith("SM")
    [mail] = house.messages("sendgrid")
    assert mail["personalizations"][0]["to"] == [{"email": ADDRESS}]
    assert (mail["subject"], mail["content"][0]["value"]) == ("Permit P1", TEXT)
    assert mail["custom_args"] == {"reference": found["MAIL"]["notice_id"]}
    [sms] = house.messages("twilio")
    assert (sms["to"], sms["body"]) == (NUMBER, TEXT)
    [chat] = house.messages("slack")
    assert chat["text"] == TEXT
    [delivery] = house.city.webhooks
    assert (delivery["problem"], delivery["id"]) == (None, found["WEBHOOK"]["notice_id"])
    body = delivery["body"]
    assert (body["type"], body["data"]["id"], body["data"]["text"]) == ("status_change", "P1", TEXT)
    assert body["data"]["event"]["newStatus"] == "issued"


async def test_a_rule_tells_what_it_names_and_nothing_of_before(house: House) -> None:
    await house.happens("P0")
    rodents = Condition("neighborhood", Operator.IN, ("mission",))
    await house.rule(conditions=(rodents,))
    await house.happens("P1", neighborhood="Mission")
    await house.happens("P2", neighborhood="Sunset")
    await house.happens("P3", "permit_filed", neighborhood="Mission")
    assert [notice["about"] for notice in await house.sent()] == ["P1"]


async def test_one_that_was_switched_off_begins_anew(house: House) -> None:
    rule = await house.rule()
    values: dict[str, Any] = {"rule_id": rule.rule_id, "name": rule.name, "subject": "S"}
    await house.rule(**values, enabled=False)
    await house.happens("P1")
    changed = await house.rule(**values)
    await house.happens("P2")
    assert changed.version == 3
    assert [notice["about"] for notice in await house.sent()] == ["P2"]


async def test_read_again_the_log_makes_nothing_twice(house: House) -> None:
    await house.rule()
    await house.happens()
    await house.plan()
    async with house.services.database.transaction(house.actor.tenant) as transaction:
        await transaction.execute("UPDATE lakefront.consumer_offsets SET next = 0 WHERE consumer = $1", CONSUMER)
    await house.plan()
    assert len(await house.sent()) == len(house.messages("sendgrid")) == 1


async def test_a_rule_that_tells_too_much_is_stopped_and_says_so(house: House) -> None:
    await house.rule(most_daily=2)
    await house.happens("P1")
    await house.plan()
    for number in range(2, 5):
        await house.happens(f"P{number}")
    found = await house.sent()
    assert [notice["state"] for notice in found] == ["SENT", "SENT", "SKIPPED", "SKIPPED"]
    assert "in a day" in found[-1]["reason"]
    assert len(house.messages("sendgrid")) == 2


async def test_killed_while_it_plans_nothing_is_lost_or_doubled(house: House) -> None:
    await house.rule()
    await house.happens()

    class KilledError(Exception):
        """The process ends before the commit."""

    projection = notices.projection(PERMITS)

    async def half() -> None:
        async with house.services.database.transaction(house.actor.tenant) as transaction:
            events = await transaction.fetch("SELECT * FROM lakefront.events")
            await projection.project(transaction, house.actor.tenant, events)
            raise KilledError

    with pytest.raises(KilledError):
        await half()
    assert await house.notices() == []
    assert [notice["state"] for notice in await house.sent()] == ["SENT"]
    assert len(house.messages("sendgrid")) == 1


@pytest.mark.parametrize("channel", [Channel.MAIL, Channel.SMS, Channel.SLACK])
async def test_what_may_have_gone_through_is_not_sent_again(house: House, channel: Channel) -> None:
    system = {Channel.MAIL: "sendgrid", Channel.SMS: "twilio", Channel.SLACK: "slack"}[channel]
    house.city.faults.add(Fault(kind=Kind.RESET_AFTER, system=system, times=1))
    await house.rule(channel)
    await house.happens()
    [notice] = await house.sent()
    assert (notice["state"], notice["error_code"]) == ("UNCERTAIN", "upstream_uncertain")
    assert len(house.messages(system)) == 1, "it did go through, and once"


async def test_a_person_who_looked_has_it_sent(house: House) -> None:
    house.city.faults.add(Fault(kind=Kind.RESET_AFTER, system="sendgrid", times=1))
    await house.rule()
    await house.happens()
    await house.sent()
    for told, state, messages in ((False, "UNCERTAIN", 1), (True, "SENT", 2)):
        [letter] = await letters.waiting(house.services, house.actor)
        await letters.replay(house.services, house.actor, str(letter.letter_id), not_carried_out=told)
        async with working(house.services), asyncio.timeout(10):
            while not (told or await letters.waiting(house.services, house.actor)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            while told and len(house.messages("sendgrid")) < messages:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            while [notice["state"] for notice in await house.notices()] != [state]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert len(house.messages("sendgrid")) == messages


async def test_a_webhook_is_told_again_under_the_same_id(house: House) -> None:
    # As often as a call tries by itself: what comes then is the outbox' own.
    house.city.faults.add(Fault(kind=Kind.RESET_AFTER, system="webhook", times=2))
    hook = await house.webhook()
    await house.rule(Channel.WEBHOOK, webhook_id=hook.webhook.webhook_id, text=None)
    await house.happens()
    [notice] = await house.sent()
    assert notice["state"] == "SENT"
    assert {delivery["id"] for delivery in house.city.webhooks} == {notice["notice_id"]}
    assert [delivery["again"] for delivery in house.city.webhooks] == [False, True, True]


async def test_killed_before_the_call_it_is_sent_by_another(house: House) -> None:
    await house.rule()
    await house.happens()
    await house.plan()
    [due] = await claims.due(house.services.provisioner, ["notice.send"], most=5)
    dying = replace(QUICK, lease=0.1)
    assert await claims.claim(house.services.database, due, ["notice.send"], dying) is not None
    assert [notice["state"] for notice in await house.sent()] == ["SENT"]
    assert len(house.messages("sendgrid")) == 1


async def test_killed_within_the_call_nobody_knows(house: House) -> None:
    house.city.faults.add(Fault(kind=Kind.LOST, system="sendgrid", seconds=30, times=1))
    await house.rule()
    await house.happens()
    await house.plan()
    async with working(house.services), asyncio.timeout(10):
        while not house.messages("sendgrid"):  # noqa: ASYNC110 - the city has no event for it
            await asyncio.sleep(0.01)
    assert [notice["state"] for notice in await house.notices()] == ["QUEUED"]
    assert [notice["state"] for notice in await house.sent()] == ["UNCERTAIN"]
    assert len(house.messages("sendgrid")) == 1


async def test_what_is_refused_failed_and_says_why(house: House) -> None:
    await house.rule(Channel.SMS, address="+15005550001")
    await house.happens()
    [notice] = await house.sent()
    assert (notice["state"], notice["error_code"]) == ("FAILED", "upstream_rejected")


async def test_without_recipient_rule_or_receiver_it_is_skipped_and_says_why(house: House) -> None:
    hook = await house.webhook()
    gone = await house.rule()
    await house.rule(Channel.WEBHOOK, webhook_id=hook.webhook.webhook_id)
    await house.happens()
    reported: dict[str, Any] = {
        "stream": REQUESTS,
        "recipient_kind": RecipientKind.REPORTER,
        "text": "${requestId}",
        "subject": "S",
    }
    await house.rule(**reported, event_types=("service_request_closed",))
    await house.happens("sr-1", "service_request_closed", stream=REQUESTS)
    await house.plan()
    await notices.remove(house.services, house.actor, gone.rule_id)
    changes = WebhookChanges(enabled=False)
    await notices.update_webhook(house.services, house.actor, hook.webhook.webhook_id, changes)
    found = await house.sent()
    assert {notice["state"] for notice in found} == {"SKIPPED"}
    assert all(notice["reason"] for notice in found)
    assert len({notice["reason"] for notice in found}) == 3
    assert not house.city.messages
    assert not house.city.webhooks


async def test_who_reported_it_is_told_while_it_is_known_how(house: House) -> None:
    reported: dict[str, Any] = {"stream": REQUESTS, "recipient_kind": RecipientKind.REPORTER}
    await house.rule(
        **reported,
        event_types=("service_request_submitted",),
        text="${requestId}: ${complaintType}",
        subject="We have it",
    )
    async with house.services.database.transaction(house.actor.tenant) as transaction:
        await transaction.execute(
            "INSERT INTO lakefront.service_request_callers (tenant_id, request_id, email) VALUES ($1, $2, $3)",
            *(house.actor.tenant, "sr-1", ADDRESS),
        )
    await house.happens("sr-1", "service_request_submitted", stream=REQUESTS, complaintType="Rodent")
    [notice] = await house.sent()
    assert (notice["state"], notice["recipient"]) == ("SENT", "j…@e….com")
    [mail] = house.messages("sendgrid")
    assert mail["content"][0]["value"] == "sr-1: Rodent"


async def test_nobody_is_named_in_logs_jobs_and_letters(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    house.city.faults.add(Fault(kind=Kind.RESET_AFTER, system="sendgrid", times=1))
    hook = await house.webhook(path="/secret-path-4711")
    await house.rule(text="To whom: ${permitId} ${neighborhood}")
    await house.rule(Channel.SMS, address="+15005550001")
    await house.rule(Channel.WEBHOOK, webhook_id=hook.webhook.webhook_id)
    await house.happens("P1", neighborhood="Nowhere Lane")
    await house.sent()
    async with house.services.database.transaction(house.actor.tenant) as transaction:
        letters = await transaction.fetch("SELECT row_to_json(l)::text FROM lakefront.dead_letters l")
        jobs = await transaction.fetch("SELECT row_to_json(o)::text FROM lakefront.outbox o")
        rows = await transaction.fetch("SELECT row_to_json(n)::text FROM lakefront.notices n")
    stored = "".join(text.decode() if isinstance(text, bytes) else text for (text,) in (*letters, *jobs, *rows))
    assert letters
    # The access log of the city's own server is the receiver's affair.
    logged = "".join(record.getMessage() for record in caplog.records if record.name != "uvicorn.access")
    assert "upstream_uncertain" in logged
    for told in (logged, stored):
        for personal in (ADDRESS, "jane", "15005550001", "Nowhere", "To whom", hook.secret, "secret-path-4711"):
            assert personal not in told, personal
