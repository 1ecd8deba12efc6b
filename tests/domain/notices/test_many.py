"""Many rules, many events, many tenants: none of them holds up others (C8)."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from lakefront.domain import notices
from lakefront.domain.notices import Channel, Condition, Operator, RecipientKind, conditions
from lakefront.domain.notices.planning import CONSUMER
from lakefront.domain.permits import STREAM as PERMITS
from lakefront.domain.service_requests import STREAM as REQUESTS
from lakefront.errors import ValidationError
from tests.domain.notices.house import AT, House

PAYLOAD = {"newStatus": "issued", "neighborhood": "Mission"}
EVENT = {"shard": 0, "event_type": "status_change", "partition_key": "P1", "trace_id": "t", "payload": PAYLOAD}


async def turns_of_others(work: Awaitable[Any]) -> int:
    """Do ``work``; how often others had a turn meanwhile."""
    task, turns = asyncio.ensure_future(work), 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    await task
    return turns


async def test_many_events_are_held_against_rules_while_others_have_their_turn(house: House) -> None:
    await house.rule(conditions=(Condition("newStatus", Operator.IS_UNKNOWN),))
    events = [EVENT | {"offset": number, "event_id": f"e{number}", "occurred_at": AT} for number in range(300)]
    project = notices.projection(PERMITS).project
    async with house.services.database.transaction(house.actor.tenant) as transaction:
        assert await turns_of_others(project(transaction, house.actor.tenant, events)) >= 300


async def test_a_rule_has_so_many_values_and_no_more(house: House) -> None:
    values = tuple(f"neighborhood {number}" for number in range(conditions.MOST_VALUES // 2 + 1))
    with pytest.raises(ValidationError, match="values"):
        await house.rule(conditions=(Condition("neighborhood", Operator.NOT_IN, values),) * 2)


async def test_a_reporter_is_told_of_their_own_request_and_of_published_ones_nobody(house: House) -> None:
    await house.rule(
        stream=REQUESTS,
        event_types=("service_request_closed",),
        recipient_kind=RecipientKind.REPORTER,
        text="Done.",
        subject="S",
    )
    await house.happens("nyc311-1", "service_request_closed", stream=REQUESTS, source="open_data")
    await house.happens("sr-1", "service_request_closed", stream=REQUESTS, source="lakefront")
    await house.plan()
    assert [notice["about"] for notice in await house.notices()] == ["sr-1"]


async def test_a_rule_that_went_to_another_stream_tells_nothing_of_the_first(house: House) -> None:
    hook = await house.webhook()
    kept: dict[str, Any] = {"channel": Channel.WEBHOOK, "webhook_id": hook.webhook.webhook_id, "text": "Something."}
    rule = await house.rule(**kept)
    await house.happens()
    await house.plan()
    await house.rule(**kept, rule_id=rule.rule_id, stream=REQUESTS, event_types=("service_request_closed",))
    [notice] = await house.sent()
    assert notice["state"] == "SKIPPED"
    assert not house.city.webhooks


async def test_who_has_no_rules_is_looked_at_now_and_then(house: House) -> None:
    readers = notices.Readers(house.services.provisioner)
    await house.happens()
    assert await readers.tenants(CONSUMER, PERMITS)  # once for all of them
    await house.happens("P2")
    assert not await readers.tenants(CONSUMER, PERMITS)
    assert not readers.wants(f"{house.actor.tenant}|{PERMITS}")
    await house.rule()
    assert await readers.tenants(CONSUMER, PERMITS)
    assert readers.wants(f"{house.actor.tenant}|{PERMITS}")
