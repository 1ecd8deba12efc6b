"""Shared subscriptions: one execution for all who ask the same, and every one of them told exactly the log."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lakefront.actor import LAKE_MANAGE, PERMITS_INSPECTOR, PERMITS_READ, SERVICE_REQUESTS_READ, Actor
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
from lakefront.graphql.sharing.seat import Seat

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
                self.answers.append(answer)
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

    async def until(self, number: int) -> list[str]:
        """The events, once there are ``number``."""
        async with asyncio.timeout(20):
            while len(self.events) < number:
                self._news.clear()
                await self._news.wait()
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
