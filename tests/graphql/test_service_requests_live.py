"""What becomes of service requests, live: from any cursor, a citizen's own alone, shared where that may be (X1)."""

from typing import Any

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from tests.complaints import CITIZEN, NEIGHBOUR, STAFF, give, publish, published, tell_the_log
from tests.graphql.test_sharing import Subscriber, in_a_group, prepared

FOLLOW = """subscription ($filter: ServiceRequestSubscriptionFilter, $after: String) {
  serviceRequestChanged(filter: $filter, after: $after) {
    cursor event { requestId version eventType state } serviceRequest { state history { totalCount } }
  }
}"""


@pytest.fixture
def operations(services: Services) -> Operations:
    return Operations(build_schema(), services, Context.for_operation, permission)


def follower(operations: Operations, actor: Actor, **variables: Any) -> Subscriber:
    return Subscriber(operations, prepared(operations, actor, FOLLOW, **variables))


def changes(found: Subscriber) -> list[tuple[str, str]]:
    """(request, version) of what came."""
    told = [answer.data["serviceRequestChanged"] for answer in found.answers if answer.executed]
    return [(each["event"]["requestId"], each["event"]["version"]) for each in told]


async def test_replay_then_live_from_every_cursor(services: Services, operations: Operations) -> None:
    await publish(services, *(published(number) for number in range(6)))
    await tell_the_log(services)
    first = follower(operations, STAFF, after="earliest")
    await first.told(6)
    await publish(services, published(0, external_status="Closed"))
    await tell_the_log(services)
    await first.told(7)
    await first.leave()
    assert sorted(changes(first)) == sorted([*((f"nyc311-{n:03d}", "1") for n in range(6)), ("nyc311-000", "2")])
    last = first.answers[-1].data["serviceRequestChanged"]
    assert last["event"] == {"requestId": "nyc311-000", "version": "2", "eventType": "CLOSED", "state": "CLOSED"}
    assert last["serviceRequest"] == {"state": "CLOSED", "history": {"totalCount": 2}}
    for index in (0, 3, 5):
        again = follower(operations, STAFF, after=first.answers[index].data["serviceRequestChanged"]["cursor"])
        await again.told(6 - index)
        await again.leave()
        assert changes(again) == changes(first)[index + 1 :]


async def test_a_citizen_hears_of_their_own(services: Services, operations: Operations, dsn: str) -> None:
    await publish(services, *(published(number) for number in range(4)))
    await give(dsn, "ada", "nyc311-001")
    await give(dsn, "bob", "nyc311-002")
    await tell_the_log(services)
    ada, bob = (follower(operations, actor, after="earliest") for actor in (CITIZEN, NEIGHBOUR))
    await ada.told(1)
    await bob.told(1)
    assert (changes(ada), changes(bob)) == ([("nyc311-001", "1")], [("nyc311-002", "1")])
    for each in (ada, bob):
        await each.leave()


async def test_equal_subscriptions_are_executed_once_and_a_citizens_apart(
    services: Services, operations: Operations, dsn: str
) -> None:
    await publish(services, published(0), published(1))
    await give(dsn, "ada", "nyc311-001")
    await tell_the_log(services)
    everyone = [follower(operations, actor) for actor in (STAFF, STAFF, CITIZEN, CITIZEN)]
    await in_a_group(operations, 4, groups=2)
    await publish(services, published(0, external_status="Closed"))
    await tell_the_log(services)
    for each in everyone[:2]:
        await each.told(1)
    assert [changes(each) for each in everyone] == [[("nyc311-000", "2")]] * 2 + [[], []]
    assert operations.subscriptions.executed == 1
    for each in everyone:
        await each.leave()


async def test_filters_let_through_what_they_name(services: Services, operations: Operations) -> None:
    await publish(services, *(published(number) for number in range(6)))
    await tell_the_log(services)
    for wanted, ids in (
        ({"states": ["IN_PROGRESS"]}, {"nyc311-001", "nyc311-004"}),
        ({"complaintTypes": ["Rodent"], "boroughs": ["BROOKLYN"]}, {"nyc311-000"}),
        ({"requestIds": ["nyc311-003"], "cities": ["nyc"]}, {"nyc311-003"}),
    ):
        found = follower(operations, STAFF, after="earliest", filter=wanted)
        await found.told(len(ids))
        await found.leave()
        assert {request_id for request_id, _ in changes(found)} == ids
    empty = follower(operations, STAFF, filter={})
    await empty.told(1)
    assert empty.answers[0].refusal is not None
    await empty.leave()
