"""Events in by the mutation, live by the subscription."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from tests.graphql.conftest import Ask

INGEST = """
mutation ($events: [PermitEventInput!]!, $key: String, $dryRun: Boolean) {
  ingestPermitEvents(events: $events, idempotencyKey: $key, dryRun: $dryRun) {
    eventsReceived accepted duplicates rejected verdicts { index eventId verdict field reason }
    report { changes quota outsideCalls }
  }
}
"""
FOLLOW = """
subscription ($filter: PermitEventSubscriptionFilter, $after: String, $heartbeat: Int) {
  permitEvents(filter: $filter, after: $after, heartbeat: $heartbeat) {
    cursor
    event { id eventId eventType occurredAt eventData permitId offset permit { status } }
    permit { permitId status daysToIssue }
  }
}
"""


def _event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "eventId": f"e{number}",
        "permitId": "P1",
        "eventType": "STATUS_CHANGE",
        "timestamp": f"2024-01-15T10:30:{number:02d}.50+01:00",
        "eventData": {"newStatus": f"s{number}", "changedBy": "me"},
        **changes,
    }


@pytest.fixture
def operations(services: Services) -> Operations:
    return Operations(build_schema(), services, Context.for_operation, permission)


async def _follow(operations: Operations, actor: Actor, **variables: Any) -> AsyncGenerator[dict[str, Any]]:
    request = OperationRequest(FOLLOW, variables=variables)
    async with asyncio.timeout(20), aclosing(operations.subscribe(request, actor, "trace")) as answers:
        async for answer in answers:
            payload = answer.payload()
            assert "errors" not in payload, payload
            yield payload["data"]["permitEvents"]


async def test_events_in_and_out_again(ask: Ask) -> None:
    wrong = _event(9, eventData={"newStatus": 5})
    answer = await ask(INGEST, events=[_event(1), _event(2), _event(1), wrong])
    payload = answer["data"]["ingestPermitEvents"]
    assert [payload[name] for name in ("eventsReceived", "accepted", "duplicates", "rejected")] == [4, 2, 1, 1]
    assert payload["report"] is None
    duplicate, rejected = payload["verdicts"]
    assert (duplicate["index"], duplicate["eventId"], duplicate["verdict"]) == (2, "e1", "DUPLICATE")
    assert (rejected["index"], rejected["verdict"]) == (3, "REJECTED")
    assert rejected["field"]
    assert rejected["reason"]
    events = "{ permitEvents { nodes { eventId occurredAt eventData } } }"
    assert (await ask(events))["data"]["permitEvents"]["nodes"][0] == {
        "eventId": "e1",
        "occurredAt": "2024-01-15T09:30:01.5+00:00",
        "eventData": {"newStatus": "s1", "changedBy": "me"},
    }


async def test_a_dry_run_changes_nothing(ask: Ask) -> None:
    payload = (await ask(INGEST, events=[_event(1)], dryRun=True))["data"]["ingestPermitEvents"]
    assert (payload["accepted"], payload["report"]) == (1, {"changes": 1, "quota": 1, "outsideCalls": 0})
    assert (await ask("{ permitEvents { totalCount } }"))["data"] == {"permitEvents": {"totalCount": 0}}


async def test_the_same_key_gives_the_first_answer_again(ask: Ask) -> None:
    first = await ask(INGEST, events=[_event(1)], key="k")
    assert await ask(INGEST, events=[_event(1)], key="k") == first
    (error,) = (await ask(INGEST, events=[_event(2)], key="k"))["errors"]
    assert error["extensions"]["errorCode"] == "idempotency_conflict"


async def test_a_subscription_replays_and_goes_on_live(ask: Ask, operations: Operations, actor: Actor) -> None:
    await ask(INGEST, events=[_event(1), _event(2, permitId="P2", eventId="other")])
    cursors, seen = [], []
    wanted = {"permitIds": ["P1"], "eventTypes": ["STATUS_CHANGE"]}
    async with aclosing(_follow(operations, actor, after="earliest", filter=wanted)) as messages:
        async for message in messages:
            cursors.append(message["cursor"])
            seen.append(message["event"]["eventId"])
            assert message["permit"]["permitId"] == message["event"]["permitId"] == "P1"
            assert message["event"]["eventType"] == "STATUS_CHANGE"
            if len(seen) == 1:
                assert message["permit"]["status"] == "s1"
                await ask(INGEST, events=[_event(3)])
            else:
                break
    assert seen == ["e1", "e3"]
    async with aclosing(_follow(operations, actor, after=cursors[0])) as messages:
        assert (await anext(messages))["event"]["eventId"] in {"other", "e3"}


async def test_a_subscription_tells_what_is_computed(ask: Ask, operations: Operations, actor: Actor) -> None:
    filed = _event(1, eventType="PERMIT_FILED", eventData={})
    issued = _event(2, eventType="PERMIT_ISSUED", eventData={}, timestamp="2024-01-18T10:00:00Z")
    await ask(INGEST, events=[filed, issued])
    async with aclosing(_follow(operations, actor, after="earliest")) as messages:
        assert (await anext(messages))["permit"]["daysToIssue"] == 3


async def test_a_heartbeat_tells_the_cursor(operations: Operations, actor: Actor) -> None:
    async with aclosing(_follow(operations, actor, heartbeat=1)) as messages:
        message = await anext(messages)
    assert message["event"] is message["permit"] is None
    assert message["cursor"]


@pytest.mark.parametrize(
    "wanted", [{}, {"permitIds": None}, {"permitIds": []}, {"eventTypes": ["STATUS_CHANGE"], "permitIds": None}]
)
async def test_an_empty_filter_is_not_everything(operations: Operations, actor: Actor, wanted: dict[str, Any]) -> None:
    request = OperationRequest(FOLLOW, variables={"filter": wanted})
    async with asyncio.timeout(20), aclosing(operations.subscribe(request, actor, "trace")) as answers:
        answer = await anext(answers)
    assert answer.errors
    assert answer.errors[0]["extensions"]["errorCode"] == "validation_error"


async def test_numbers_that_json_cannot_say_are_refused(ask: Ask) -> None:
    document = """mutation { ingestPermitEvents(events: [{eventId: "e", permitId: "p", eventType: PERMIT_FILED,
      timestamp: "2024-01-01T00:00:00Z", eventData: {estimatedCost: 1e999}}]) { accepted } }"""
    (error,) = (await ask(document))["errors"]
    assert error["extensions"]["details"][0]["field"] == "events[0]"
