"""Who leaves takes along what he asked for: PostgreSQL stops a read within a second; a mutation runs to its end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from lakefront.actor import CITY, Actor
from lakefront.db.database import Database
from lakefront.domain.services import Services
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from lakefront.server.credentials import Credentials
from lakefront.server.graphql_http import GraphQLHTTP
from tests.domain.permits.events import event
from tests.server.serving import serving
from tests.slow import locked

ONE = '{ permit(permitId: "P001") { permitId } }'
LIST = "{ permits(first: 3) { nodes { permitId } } }"
BESIDE = "{ permits(first: 3) { nodes { permitId } } me { subject } }"
NESTED = "{ permits(first: 3) { nodes { permitId addresses { streetName } } totalCount } }"

INGEST = "mutation ($e: [PermitEventInput!]!) { ingestPermitEvents(events: $e) { accepted duplicates } }"

EVENTS = [event(eventId=name, eventType="STATUS_CHANGE") for name in ("1", "2")]


@dataclass
class Door:
    """A served door on real parts, and one who looks at PostgreSQL from outside."""

    port: int
    operations: Operations
    database: Database
    dsn: str

    def request(self, query: str, variables: dict[str, Any] | None = None) -> bytes:
        body = json.dumps({"query": query, "variables": variables}).encode()
        head = f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    async def send(self, query: str, variables: dict[str, Any] | None = None) -> asyncio.StreamWriter:
        """Ask over a socket of its own, and do not wait for the answer."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(self.request(query, variables))
        await writer.drain()
        return writer


@asynccontextmanager
async def opened(services: Services, actor: Actor, *, compiled: bool = True) -> AsyncIterator[Door]:
    async def authenticate(_: Credentials) -> Actor:
        return actor

    operations = Operations(build_schema(), services, Context.for_operation, permission, compiled=compiled)
    async with serving(GraphQLHTTP(operations, authenticate, services.settings), services.settings, port=0) as port:
        yield Door(port, operations, services.database, services.database.dsn)


@pytest.fixture
async def door(services: Services, actor: Actor) -> AsyncIterator[Door]:
    async with opened(services, actor) as made:
        yield made


async def all_is_quiet(door: Door) -> None:
    """Nothing runs any more, no connection is held."""
    async with asyncio.timeout(2):
        while door.operations.turns.taken or door.database.connections[0]:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "resolvers"])
@pytest.mark.parametrize("query", [ONE, LIST, BESIDE, NESTED], ids=["one", "list", "beside", "nested"])
async def test_a_read_stops_when_its_client_leaves(
    services: Services, actor: Actor, query: str, compiled: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(services, actor, compiled=compiled) as door, locked(door.dsn) as watcher:
        writer = await door.send(query)
        await watcher.working()
        writer.close()
        await watcher.stopped()
        await all_is_quiet(door)
    assert caplog.records == []


async def test_who_leaves_does_not_take_others_along(door: Door) -> None:
    other = '{ permit(permitId: "P002") { permitId } }'
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{door.port}", timeout=10) as client:
        async with locked(door.dsn) as watcher:
            leaving = [await door.send(ONE) for _ in range(6)]
            await watcher.working(2)
            staying = [asyncio.create_task(client.post("/graphql", json={"query": other})) for _ in range(4)]
            await asyncio.sleep(0.2)
            for writer in leaving:
                writer.close()
            await asyncio.sleep(0.3)
        answers = await asyncio.gather(*staying)
    assert [answer.json() for answer in answers] == [{"data": {"permit": None}}] * 4
    await all_is_quiet(door)


async def test_a_mutation_runs_to_its_end(door: Door, services: Services) -> None:
    async with locked(door.dsn, "events") as watcher:
        writer = await door.send(INGEST, {"e": EVENTS})
        await watcher.working()
        writer.close()
        await asyncio.sleep(0.3)
        assert await watcher.count() >= 1
    await all_is_quiet(door)
    async with services.database.transaction(CITY) as transaction:
        assert len(await transaction.fetch("SELECT FROM lakefront.events")) == 2
