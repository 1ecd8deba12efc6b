"""Live permit events, compiled: who shares a statement, and that nobody sees by it what is not theirs to see."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from lakefront.actor import PERMITS_INSPECTOR, Actor
from lakefront.domain.permits import STREAM
from lakefront.domain.services import Services
from lakefront.eventlog.events import NewEvent
from lakefront.graphql.answers import Answer
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from tests.graphql.fuzz.compare import told
from tests.graphql.test_sharing import READER, Subscriber, in_a_group, prepared

FOLLOW = """
subscription ($filter: PermitEventSubscriptionFilter, $after: String) {
  permitEvents(filter: $filter, after: $after) {
    event { eventId eventData permit { permitId status } }
    permit { permitId status inspector events(first: 1) { nodes { eventId } } addresses { zipcode } }
  }
}
"""
INSPECTOR = replace(READER, scopes=READER.scopes | {PERMITS_INSPECTOR})


def operations_of(services: Services, *, compiled: bool = True, **changes: Any) -> Operations:
    changed = replace(services, settings=services.settings.model_copy(update=changes))
    return Operations(build_schema(), changed, Context.for_operation, permission, compiled=compiled)


@pytest.fixture
def operations(services: Services) -> Operations:
    return operations_of(services)


async def append(services: Services, *names: str, tenant: str = "city", permit: str | None = None) -> None:
    events = [
        NewEvent(
            *(name, "inspector_assignment", permit or f"P{number % 7}", datetime(2024, 1, 15, tzinfo=UTC)),
            *(b'{"inspector":"Ada"}', "t"),
        )
        for number, name in enumerate(names)
    ]
    await services.log.append(replace(READER, tenant=tenant), STREAM, events)


async def replayed(operations: Operations, number: int, actor: Actor = INSPECTOR) -> list[Answer]:
    subscriber = Subscriber(operations, prepared(operations, actor, FOLLOW, after="earliest"))
    await subscriber.told(number)
    await subscriber.leave()
    return subscriber.answers


async def test_events_of_a_page_are_read_for_at_once(services: Services, operations: Operations) -> None:
    await append(services, *(f"e{number}" for number in range(40)))
    answers = await replayed(operations, 40)
    batches = operations.runner.batches
    # Three relations; the permits are seven, and each is read for once.
    assert (batches.statements, batches.keys) == (3, 21)
    by_resolvers = await replayed(operations_of(services, compiled=False), 40)
    assert [told(answer) for answer in answers] == [told(answer) for answer in by_resolvers]


async def test_groups_share_statements(services: Services, operations: Operations) -> None:
    """Twenty groups, which differ in their filters alone."""
    followers = [
        Subscriber(operations, prepared(operations, INSPECTOR, FOLLOW, filter={"permitIds": ["P1", f"none-{number}"]}))
        for number in range(20)
    ]
    await in_a_group(operations, 20, groups=20)
    await append(services, "a", permit="P1")
    for follower in followers:
        assert await follower.until(1) == ["a"]
        await follower.leave()
    batches = operations.runner.batches
    assert batches.keys == 3 * 20
    assert batches.statements < batches.keys / 2


async def test_tenants_share_nothing(services: Services, operations: Operations) -> None:
    """The same permits and the same documents in both, at the same time."""
    actors = [replace(INSPECTOR, tenant=tenant) for tenant in ("city", "acme")]
    followers = [Subscriber(operations, prepared(operations, actor, FOLLOW)) for actor in actors]
    await in_a_group(operations, 2, groups=2)
    for number in range(10):
        await asyncio.gather(
            *(append(services, f"{actor.tenant}-{number}", tenant=actor.tenant, permit="P1") for actor in actors)
        )
    for actor, follower in zip(actors, followers, strict=True):
        await follower.until(10)
        for answer in follower.answers:
            first = answer.data["permitEvents"]["permit"]["events"]["nodes"][0]["eventId"]
            assert first == f"{actor.tenant}-0"
        await follower.leave()


async def test_who_may_see_less_from_now_on_sees_less_at_once(services: Services) -> None:
    """Where forbidden fields are null, a subscription goes on; alone, while it replays, as well as in a group."""
    operations = operations_of(services, forbidden_fields="null")
    document = FOLLOW.replace("eventData", "").replace("permit { permitId status }", "permit { inspector }")
    await append(services, *(f"e{number}" for number in range(30)), permit="P1")
    replays = prepared(operations, INSPECTOR, document, after="earliest")
    replaying, live = (
        Subscriber(operations, replays, lambda: 0.03),
        Subscriber(operations, prepared(operations, INSPECTOR, document)),
    )
    await replaying.told(5)
    await in_a_group(operations, 2)
    for each in (replaying, live):
        assert operations.renew(each.operation, READER) is None
    seen = len(replaying.answers)
    await append(services, "last", permit="P1")
    await asyncio.gather(replaying.until(31), live.until(1))
    for answer in (*replaying.answers[seen:], live.answers[-1]):
        heard = answer.data["permitEvents"]
        assert (heard["event"]["permit"], heard["permit"]["inspector"]) == ({"inspector": None}, None)
        assert heard["permit"]["events"]["nodes"] == [{"eventId": "e0"}]
        paths = [error["path"] for error in answer.errors or ()]
        assert paths == [["permitEvents", "permit", "inspector"], ["permitEvents", "event", "permit", "inspector"]]
    assert replaying.answers[0].data["permitEvents"]["event"]["permit"] == {"inspector": "Ada"}
    for each in (replaying, live):
        await each.leave()


async def test_a_statement_that_fails_is_told_by_resolvers(
    services: Services, operations: Operations, dsn: str
) -> None:
    await append(services, "a", "b", permit="P1")
    before = [told(answer) for answer in await replayed(operations, 2)]
    admin = await asyncpg.connect(dsn)
    await admin.execute("ALTER TABLE lakefront.permit_addresses RENAME COLUMN zipcode TO postcode")
    failed = [told(answer) for answer in await replayed(operations, 2)]
    assert failed == [told(answer) for answer in await replayed(operations_of(services, compiled=False), 2)]
    (error,) = failed[0]["errors"]
    assert error["path"] == ["permitEvents", "permit", "addresses"]
    assert error["extensions"]["code"] == "INTERNAL_ERROR"
    await admin.execute("ALTER TABLE lakefront.permit_addresses RENAME COLUMN postcode TO zipcode")
    await admin.close()
    assert [told(answer) for answer in await replayed(operations, 2)] == before
