"""A small schema to try the machinery on: every way in which a resolver can answer, fail, wait or never end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields
from typing import Any

import strawberry
from strawberry.types import Info

from lakefront.actor import PERMITS_READ, PERMITS_WRITE, Actor
from lakefront.domain.services import Services
from lakefront.domain.tenants.allowances import Allowances
from lakefront.errors import Lagged, NotFound, Unauthenticated, Unavailable
from lakefront.graphql.following import Following
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.planner import Planner
from lakefront.server.credentials import Credentials
from lakefront.settings import Settings

READER = Actor("ada", "city", frozenset({PERMITS_READ}))
WRITER = Actor("bob", "city", frozenset({PERMITS_READ, PERMITS_WRITE}))
NOBODY = Actor("eve", "city", frozenset())

SCOPES = {
    ("Query", "hello"): PERMITS_READ,
    ("Query", "node"): PERMITS_READ,
    ("Query", "many"): PERMITS_READ,
    ("Query", "fail"): PERMITS_READ,
    ("Query", "sleep"): PERMITS_READ,
    ("Query", "contextNumber"): PERMITS_READ,
    ("Mutation", "increment"): PERMITS_WRITE,
    ("Subscription", "count"): PERMITS_READ,
    ("Subscription", "failing"): PERMITS_READ,
    ("Subscription", "contexts"): PERMITS_READ,
    ("Subscription", "numbers"): PERMITS_READ,
}


@dataclass
class World:
    """What the resolvers did: counted, to be looked at by tests."""

    contexts: int = 0
    increments: int = 0
    sleeping: int = 0
    following: int = 0
    tokens: dict[str, Actor] = field(default_factory=lambda: {"reader": READER, "writer": WRITER, "nobody": NOBODY})

    async def authenticate(self, credentials: Credentials) -> Actor:
        """``Bearer reader``, ``Bearer writer``, …; raises like the real one."""
        scheme, _, token = (credentials.authorization or "").partition(" ")
        if token == "down":
            raise Unavailable(retry_after=3)
        if scheme != "Bearer" or token not in self.tokens:
            raise Unauthenticated
        return self.tokens[token]


@dataclass
class Seen:
    """What one operation's resolvers get."""

    world: World
    actor: Actor
    number: int
    following: Following


SeenInfo = Info[Seen, None]


@strawberry.type
class Node:
    name: str = "node"

    @strawberry.field
    def child(self, depth: int = 0) -> "Node":
        return Node(name=f"child {depth}")

    @strawberry.field
    def broken(self) -> str:
        raise RuntimeError("the password is hunter2")


@strawberry.input
class Point:
    x: int
    y: int = 0


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world", point: Point | None = None) -> str:
        return f"hello {name}" + (f" at {point.x}" if point else "")

    @strawberry.field
    def node(self) -> Node | None:
        return Node()

    @strawberry.field
    def many(self, first: int = 10) -> list[Node]:
        return [Node(name=str(number)) for number in range(first)]

    @strawberry.field
    def fail(self, how: str = "masked") -> str | None:
        match how:
            case "shown":
                raise NotFound("There is no such permit.", details=[{"field": "permitId", "message": "unknown"}])
            case "retry":
                raise Unavailable(retry_after=2.5)
            case "cancelled":
                raise asyncio.CancelledError
            case _:
                raise RuntimeError("the password is hunter2")

    @strawberry.field
    async def sleep(self, info: SeenInfo, seconds: float) -> int:
        info.context.world.sleeping += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            info.context.world.sleeping -= 1
        return 1

    @strawberry.field
    def context_number(self, info: SeenInfo) -> int:
        return info.context.number

    @strawberry.field
    def undeclared(self) -> int:
        return 1


@strawberry.type
class Mutation:
    @strawberry.mutation
    def increment(self, info: SeenInfo, by: int = 1) -> int:
        info.context.world.increments += by
        return info.context.world.increments


@strawberry.type
class Delivery:
    cursor: str
    event: int | None


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def numbers(
        self, info: SeenInfo, after: str | None = None, heartbeat: float | None = None, to: int = 3
    ) -> AsyncIterator[Delivery]:
        """Resumable: its cursors are numbers; at the end it is silent until the heartbeat."""
        start = info.context.following.start(after, heartbeat)
        first = int(start.after or 0) + 1
        if start.greet:
            yield Delivery(cursor=str(first - 1), event=None)
        for number in range(first, to + 1):
            yield Delivery(cursor=str(number), event=number)
        while start.heartbeat:
            await asyncio.sleep(start.heartbeat)
            yield Delivery(cursor=str(to), event=None)

    @strawberry.subscription
    async def count(self, info: SeenInfo, to: int = 3, pause: float = 0, size: int = 0) -> AsyncIterator[str]:
        info.context.world.following += 1
        try:
            for number in range(to):
                if pause:
                    await asyncio.sleep(pause)
                yield str(number).ljust(size, ".")
        finally:
            info.context.world.following -= 1

    @strawberry.subscription
    async def failing(self, how: str = "masked") -> AsyncIterator[int]:
        yield 1
        if how == "lagged":
            raise Lagged("the-cursor")
        raise RuntimeError("the password is hunter2")

    @strawberry.subscription
    async def contexts(self, to: int = 3) -> AsyncIterator[Node]:
        for number in range(to):
            yield Node(name=str(number))


def settings(**changes: Any) -> Settings:
    """Settings of a test, independent of the environment."""
    return Settings(**{"database_url": "postgresql://nowhere", "port": 0, "rate_limits": "off", **changes})


def build(world: World | None = None, **changes: Any) -> tuple[Operations, World, Settings]:
    """Operations on the sample schema."""
    world = world or World()
    chosen = settings(**changes)
    # No resolver of the sample touches the database, the log or any other part.
    parts: dict[str, Any] = {part.name: None for part in fields(Services)}
    services = Services(**{**parts, "settings": chosen, "allowances": Allowances()})

    def context(_services: Services, actor: Actor, _trace_id: str, following: Following, _: Planner) -> Seen:
        world.contexts += 1
        return Seen(world, actor, world.contexts, following)

    schema = strawberry.Schema(Query, Mutation, Subscription)
    operations = Operations(schema, services, context, lambda _schema, kind, name: SCOPES.get((kind, name)))
    return operations, world, chosen
