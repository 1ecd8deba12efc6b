"""Notice rules as data: checked when they are saved, versioned, shown by an example (C8)."""

from dataclasses import replace
from typing import Any

import pytest

from lakefront.actor import NOTICES_MANAGE
from lakefront.domain import notices
from lakefront.domain.notices import Channel, Condition, Operator, RecipientKind, RuleInput
from lakefront.domain.notices.planning import notice_id
from lakefront.domain.permits import STREAM
from lakefront.errors import Forbidden, NotFound, ValidationError
from tests.domain.notices.house import ADDRESS, House

MAIL: dict[str, Any] = {
    "name": "Issued",
    "stream": STREAM,
    "event_types": ("status_change",),
    "channel": Channel.MAIL,
    "recipient_kind": RecipientKind.ADDRESS,
    "address": ADDRESS,
    "subject": "Permit ${permitId}",
    "text": "It is ${newStatus}.",
}
WEBHOOK = {"channel": Channel.WEBHOOK, "recipient_kind": RecipientKind.WEBHOOK, "address": None, "subject": None}


async def test_a_rule_is_made_changed_and_removed(house: House) -> None:
    tests = (Condition("neighborhood", Operator.IN, ("Mission",)),)
    made = await notices.upsert(house.services, house.actor, RuleInput(**MAIL, conditions=tests), idempotency_key="k")
    again = await notices.upsert(house.services, house.actor, RuleInput(**MAIL, conditions=tests), idempotency_key="k")
    assert again == made
    assert (made.created, made.changed, made.rule.version, made.rule.conditions) == (True, True, 1, tests)
    assert await notices.rules(house.services, house.actor) == [made.rule]
    id_ = made.rule.rule_id
    same = await notices.upsert(house.services, house.actor, RuleInput(**MAIL, rule_id=id_, conditions=tests))
    assert (same.created, same.changed, same.rule.version) == (False, False, 1)
    other = await notices.upsert(house.services, house.actor, RuleInput(**MAIL, rule_id=id_))
    assert (other.created, other.changed, other.rule.version, other.rule.conditions) == (False, True, 2, ())
    assert (await notices.remove(house.services, house.actor, id_)).rule_id == id_
    assert await notices.rules(house.services, house.actor) == []
    for call in (notices.remove(house.services, house.actor, id_), notices.remove(house.services, house.actor, "\0")):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(NotFound):
        await notices.upsert(house.services, house.actor, RuleInput(**MAIL, rule_id=id_))


async def test_a_dry_run_shows_what_would_be_sent(house: House) -> None:
    change = await notices.upsert(house.services, house.actor, RuleInput(**MAIL), dry_run=True)
    shown = notices.example(change.rule)
    assert (shown.subject, shown.text, shown.data) == ("Permit 202605281234", "It is issued.", None)
    assert await notices.rules(house.services, house.actor) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"stream": "other"}, "stream"),
        ({"event_types": ()}, "eventTypes"),
        ({"event_types": ("no_such",)}, "eventTypes"),
        ({"subject": None}, "subject"),
        ({"subject": "Permit\nBcc: everybody"}, "subject"),
        ({"text": None}, "text"),
        ({"most_daily": 0}, "mostDaily"),
        ({"text": "${inspector}"}, "text"),
        ({"address": None}, "address"),
        ({"address": "nobody"}, "address"),
        ({"channel": Channel.SMS, "subject": None}, "address"),
        ({"channel": Channel.SLACK, "subject": None}, "recipientKind"),
        ({"recipient_kind": RecipientKind.REPORTER, "address": None}, "recipientKind"),
        ({"webhook_id": "x"}, "webhookId"),
        ({"conditions": (Condition("nothing", Operator.IN, ("x",)),)}, "conditions.0.field"),
    ],
)
async def test_what_could_never_be_sent_is_refused(house: House, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        await notices.upsert(house.services, house.actor, RuleInput(**MAIL | changes))
    assert caught.value.details[0]["field"] == field
    assert ADDRESS not in caught.value.message


async def test_a_webhook_must_be_the_tenant_s_own(house: House) -> None:
    hook = await house.webhook()
    given = RuleInput(**MAIL | WEBHOOK, webhook_id=hook.webhook.webhook_id)
    with pytest.raises(NotFound, match="webhook"):
        await notices.upsert(house.services, replace(house.actor, tenant="acme_corp"), given)
    assert (await notices.upsert(house.services, house.actor, given)).created


async def test_who_may_not_read_it_may_not_have_it_told(house: House) -> None:
    keeper = replace(house.actor, scopes=frozenset({NOTICES_MANAGE}))
    with pytest.raises(Forbidden, match="permits:read"):
        await notices.upsert(house.services, keeper, RuleInput(**MAIL))
    with pytest.raises(Forbidden, match="notices:manage"):
        await notices.rules(house.services, replace(house.actor, scopes=frozenset()))


async def test_ids_follow_from_rule_and_event(house: House) -> None:
    rule = await house.rule()
    ids = {
        notice_id("city", rule, "e"),
        notice_id("city", rule, "f"),
        notice_id("other", rule, "e"),
        notice_id("city", replace(rule, rule_id="x"), "e"),
    }
    assert len(ids) == 4
    assert notice_id("city", rule, "e") in ids
