"""Shared subscriptions: one execution for all who ask the same, and every one of them told exactly the log."""

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lakefront.actor import LAKE_MANAGE, METRICS_READ, PERMITS_INSPECTOR, PERMITS_READ, SERVICE_REQUESTS_READ, Actor
from lakefront.domain.permits import STREAM
from lakefront.domain.services import Services
from lakefront.errors import Forbidden, Unavailable
from lakefront.eventlog.events import NewEvent
from lakefront.graphql.answers import Answer, OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operation import Operation
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from lakefront.graphql.sharing.key import share_key

FOLLOW = """
subscription ($filter: PermitEventSubscriptionFilter, $after: String, $heartbeat: Int) {
  permitEvents(filter: $filter, after: $after, heartbeat: $heartbeat) { cursor event { eventId shard offset } }
}
"""
READER = Actor("ada", "city", frozenset({PERMITS_READ}))


@pytest.fixture
def operations(services: Services) -> Operations:
    return Operations(build_schema(), services, Context.for_operation, permission)


def prepared(operations: Operations, actor: Actor = READER, document: str = FOLLOW, **variables: Any) -> Operation:
    operation = operations.prepare(OperationRequest(document, variables=variables), actor, "trace")
    assert isinstance(operation, Operation), operation
    return operation


class Subscriber:
    """Follows in a task of its own and keeps what it is told."""

    def __init__(self, operations: Operations, operation: Operation, pause: Callable[[], float] = lambda: 0.0) -> None:
        self.operation = operation
        self.answers: list[Answer] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._follow(operations, pause))

    async def _follow(self, operations: Operations, pause: Callable[[], float]) -> None:
        async with aclosing(operations.follow(self.operation)) as answers:
            async for answer in answers:
                self.answers.append(answer.parse())
                self._news.set()
                await asyncio.sleep(pause())

    @property
    def events(self) -> list[str]:
        """The ids of the events, in the order in which they came."""
        told = [answer.data["permitEvents"]["event"] for answer in self.answers if answer.executed]
        return [event["eventId"] for event in told if event]

    @property
    def cursor(self) -> str | None:
        """Where to go on."""
        return self.answers[-1].cursor if self.answers else None

    async def told(self, number: int) -> None:
        """Wait for ``number`` answers."""
        async with asyncio.timeout(20):
            while len(self.answers) < number:
                self._news.clear()
                await self._news.wait()

    async def until(self, number: int) -> list[str]:
        """The events, once there are ``number``."""
        await self.told(number)
        while len(self.events) < number:
            await self.told(len(self.answers) + 1)
        return self.events

    async def leave(self) -> None:
        """Go away, wherever it stands."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def end(self) -> Answer:
        """The last answer."""
        async with asyncio.timeout(20):
            await self._task
        return self.answers[-1]


def made(name: str, permit: str = "P1") -> NewEvent:
    return NewEvent(name, "STATUS_CHANGE", permit, datetime(2024, 1, 15, tzinfo=UTC), b'{"newStatus":"s"}', "t")


async def append(services: Services, *names: str, tenant: str = "city", permit: str | None = None) -> None:
    events = [made(name, permit or f"P{sum(name.encode()) % 7}") for name in names]
    await services.log.append(replace(READER, tenant=tenant), STREAM, events)


async def in_a_group(operations: Operations, members: int, groups: int = 1) -> None:
    """Wait until so many take what so many groups tell."""
    live = operations.subscriptions.groups
    async with asyncio.timeout(10):
        while (live.count, live.listening) != (groups, members):  # noqa: ASYNC110 - nothing else tells it
            await asyncio.sleep(0.005)


async def test_one_execution_for_all_who_ask_the_same(services: Services, operations: Operations) -> None:
    others = [replace(READER, subject=name, roles=frozenset({name})) for name in ("bob", "eve")]
    subscribers = [Subscriber(operations, prepared(operations, actor)) for actor in (READER, *others)]
    await in_a_group(operations, 3)
    await append(services, "a", "b")
    assert [sorted(await each.until(2)) for each in subscribers] == [["a", "b"]] * 3
    live = operations.subscriptions
    assert (live.executed, live.groups.delivered) == (2, 6)
    assert subscribers[0].answers[0].encode() is subscribers[1].answers[0].encode()
    for each in subscribers:
        await each.leave()
    assert (live.groups.count, live.groups.members, live.running) == (0, 0, 0)


async def test_who_asks_for_less_or_may_see_less_is_in_another_group(operations: Operations) -> None:
    wide = replace(READER, scopes=READER.scopes | {PERMITS_INSPECTOR})
    different = [
        prepared(operations),
        prepared(operations, wide),
        prepared(operations, replace(READER, own=frozenset({SERVICE_REQUESTS_READ}))),
        prepared(operations, replace(READER, tenant="acme")),
        prepared(operations, filter={"permitIds": ["P1"]}),
        prepared(operations, filter={"permitIds": ["P2"]}),
        prepared(operations, document=FOLLOW + "#"),
    ]
    assert len({share_key(each) for each in different}) == len(different)


async def test_where_to_begin_and_when_to_tell_it_do_not_part(operations: Operations) -> None:
    alike = [
        prepared(operations),
        prepared(operations, replace(READER, subject="bob", expires_at=1.0, roles=frozenset({"x"}))),
        prepared(operations, after="earliest"),
        prepared(operations, after=None, heartbeat=3),
    ]
    assert len({share_key(each) for each in alike}) == 1


async def test_a_variable_that_is_used_otherwise_too_parts(operations: Operations) -> None:
    both = FOLLOW.replace("filter: $filter", "filter: {permitIds: [$id]}").replace("$after: String", "$id: String")
    document = both.replace("after: $after", "after: $id").replace("{permitIds: [$id]}", "{neighborhoods: [$id]}")
    document = document.replace("$filter: PermitEventSubscriptionFilter, $id: String", "$id: String!")
    keys = {share_key(prepared(operations, document=document, id=name)) for name in ("earliest", "latest")}
    assert len(keys) == 2


async def test_own_rows_are_nobody_elses(operations: Operations) -> None:
    own = replace(READER, scopes=frozenset(), own=READER.scopes)
    subjects = [share_key(prepared(operations, replace(own, subject=name)))[0].subject for name in ("ada", "bob")]
    assert subjects == ["ada", "bob"]
    beside = replace(READER, own=frozenset({SERVICE_REQUESTS_READ}))
    assert share_key(prepared(operations, beside))[0].subject == ""


@pytest.mark.parametrize("seed", range(4))
async def test_nobody_misses_or_doubles_an_event(services: Services, operations: Operations, seed: int) -> None:
    """Subscribers come and go while events pour in; each goes on from the cursor that it was told last."""
    chance = random.Random(seed)
    written: list[str] = []
    done = asyncio.Event()

    async def produce() -> None:
        for body in range(60):
            names = [f"{seed}-{body}-{number}" for number in range(chance.choice((1, 1, 2, 30)))]
            await append(services, *names)
            written.extend(names)
            await asyncio.sleep(chance.choice((0, 0, 0.01, 0.03)))
        done.set()

    async def follow() -> list[str]:
        told: list[str] = []
        cursor = "earliest"
        while True:
            subscriber = Subscriber(
                operations, prepared(operations, after=cursor), lambda: chance.choice((0.0, 0.0, 0.002))
            )
            last = done.is_set()
            if last:
                await subscriber.until(len(written) - len(told))
            else:
                await asyncio.sleep(chance.uniform(0, 0.3))
            await subscriber.leave()
            told += subscriber.events
            cursor = subscriber.cursor or cursor
            if last:
                return told

    producing = asyncio.create_task(produce())
    everybody = await asyncio.gather(*(follow() for _ in range(12)))
    await producing
    for told in everybody:
        assert sorted(told) == sorted(written)
    assert operations.subscriptions.groups.count == 0


async def test_each_shard_comes_in_order(services: Services, operations: Operations) -> None:
    await append(services, *(f"before-{number}" for number in range(40)))
    subscribers = [Subscriber(operations, prepared(operations, after="earliest")) for _ in range(3)]
    await append(services, *(f"after-{number}" for number in range(40)))
    for each in subscribers:
        await each.until(80)
        events = [answer.data["permitEvents"]["event"] for answer in each.answers]
        for shard in {event["shard"] for event in events}:
            offsets = [int(event["offset"]) for event in events if event["shard"] == shard]
            assert offsets == list(range(len(offsets)))
        await each.leave()


async def test_who_lost_the_connection_a_moment_ago_replays_nothing(services: Services, operations: Operations) -> None:
    first, second = (Subscriber(operations, prepared(operations)) for _ in range(2))
    await in_a_group(operations, 2)
    await append(services, *(f"e{number}" for number in range(10)))
    await first.until(10)
    again = Subscriber(operations, prepared(operations, after=first.answers[3].cursor))
    assert await again.until(6) == first.events[4:]
    assert operations.subscriptions.executed == 10
    for each in (first, second, again):
        await each.leave()


async def test_a_slow_one_lags_and_the_others_go_on(services: Services) -> None:
    settings = services.settings.model_copy(update={"follower_buffer": 20})
    operations = Operations(build_schema(), replace(services, settings=settings), Context.for_operation, permission)
    quick = Subscriber(operations, prepared(operations))
    slow = Subscriber(operations, prepared(operations), lambda: 0.5)
    await in_a_group(operations, 2)
    names = [f"e{number}" for number in range(100)]
    for name in names:
        await append(services, name, permit="one")
        await quick.until(len(quick.events))
    assert await quick.until(100) == names
    last = await slow.end()
    assert last.errors is not None
    assert last.errors[0]["extensions"]["code"] == "LAGGED"
    assert last.errors[0]["extensions"]["cursor"] == slow.answers[-2].cursor
    await in_a_group(operations, 1)
    after = Subscriber(operations, prepared(operations, after=last.errors[0]["extensions"]["cursor"]))
    told = len(slow.answers) - 1
    assert await after.until(100 - told) == names[told:]
    for each in (quick, after):
        await each.leave()


async def test_who_loses_a_right_gets_not_one_more_event(services: Services, operations: Operations) -> None:
    stays, goes = (Subscriber(operations, prepared(operations)) for _ in range(2))
    await in_a_group(operations, 2)
    await append(services, "a")
    await goes.until(1)
    error = operations.renew(goes.operation, replace(READER, scopes=frozenset()))
    assert isinstance(error, Forbidden)
    await append(services, "b")
    assert await stays.until(2) == ["a", "b"]
    await asyncio.sleep(0.05)
    assert goes.events == ["a"]
    for each in (stays, goes):
        await each.leave()


async def test_who_has_other_rights_goes_on_in_another_group(services: Services, operations: Operations) -> None:
    stays, moves = (Subscriber(operations, prepared(operations)) for _ in range(2))
    await in_a_group(operations, 2)
    await append(services, "a")
    await moves.until(1)
    assert operations.renew(moves.operation, replace(READER, scopes=READER.scopes | {LAKE_MANAGE})) is None
    await append(services, "b")
    assert [await each.until(2) for each in (stays, moves)] == [["a", "b"]] * 2
    await in_a_group(operations, 2, groups=2)
    assert operations.renew(moves.operation, replace(moves.operation.actor, expires_at=1.0)) is None
    assert operations.subscriptions.groups.count == 2
    for each in (stays, moves):
        await each.leave()


async def test_the_end_of_the_log_ends_all(services: Services, operations: Operations) -> None:
    subscribers = [Subscriber(operations, prepared(operations)) for _ in range(3)]
    await in_a_group(operations, 3)
    await services.log.close()  # type: ignore[attr-defined]
    for each in subscribers:
        assert isinstance((await each.end()).refusal, Unavailable)
    assert operations.subscriptions.groups.count == 0


async def test_heartbeats_tell_where_the_group_stands(services: Services, operations: Operations) -> None:
    nothing = prepared(operations, filter={"permitIds": ["none"]}, heartbeat=1)
    quiet = Subscriber(operations, nothing)
    await in_a_group(operations, 1)
    await append(services, "a", permit="other")
    await quiet.told(1)
    assert quiet.answers[0].data["permitEvents"]["event"] is None
    after = quiet.answers[0].data["permitEvents"]["cursor"]
    await append(services, "b", permit="other")
    follows = Subscriber(operations, prepared(operations, after=after))
    assert await follows.until(1) == ["b"]
    for each in (quiet, follows):
        await each.leave()


async def test_a_subscription_without_cursors_runs_alone(operations: Operations) -> None:
    document = 'subscription { metricsUpdated(stream: "sf-permit-events") { stream } }'
    actor = replace(READER, scopes=frozenset({METRICS_READ}))
    operation = prepared(operations, actor, document)
    async with aclosing(operations.follow(operation)) as answers:
        assert (await anext(answers)).executed
        assert (operations.subscriptions.groups.count, operations.subscriptions.running) == (0, 1)
