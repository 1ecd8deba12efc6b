"""Who leaves takes along what he asked for: PostgreSQL stops a read within a second; a mutation runs to its end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lakefront.actor import CITY, Actor
from lakefront.db.database import Database
from lakefront.domain.services import Services
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from lakefront.server.credentials import Credentials
from lakefront.server.graphql_http import GraphQLHTTP
from lakefront.server.graphql_ws import GraphQLSocket
from lakefront.server.socket_messages import SUBPROTOCOL
from tests.domain.permits.events import event
from tests.server.serving import serving
from tests.server.sockets import Client
from tests.slow import locked

ONE = '{ permit(permitId: "P001") { permitId } }'
LIST = "{ permits(first: 3) { nodes { permitId } } }"
BESIDE = "{ permits(first: 3) { nodes { permitId } } me { subject } }"
NESTED = "{ permits(first: 3) { nodes { permitId addresses { streetName } } totalCount } }"

INGEST = """
mutation ($e: [PermitEventInput!]!) { ingestPermitEvents(events: $e, idempotencyKey: "k") { accepted duplicates } }
"""

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
    async def socket(self) -> AsyncIterator[Client]:
        """A WebSocket, signed in."""
        offered = [Subprotocol(SUBPROTOCOL)]
        async with connect(f"ws://127.0.0.1:{self.port}/graphql", subprotocols=offered, close_timeout=1) as socket:
            client = Client(socket)
            await client.send({"type": "connection_init"})
            assert await client.receive() == {"type": "connection_ack"}
            yield client


@asynccontextmanager
async def opened(services: Services, actor: Actor, *, compiled: bool = True) -> AsyncIterator[Door]:
    async def authenticate(_: Credentials) -> Actor:
        return actor

    operations = Operations(build_schema(), services, Context.for_operation, permission, compiled=compiled)
    http = GraphQLHTTP(operations, authenticate, services.settings)
    socket = GraphQLSocket(operations, authenticate, services.settings)

    async def doors(scope: Scope, receive: Receive, send: Send) -> None:
        await (socket if scope["type"] == "websocket" else http)(scope, receive, send)

    async with serving(doors, services.settings, port=0) as port:
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


@pytest.mark.parametrize("query", [ONE, LIST, BESIDE, NESTED], ids=["one", "list", "beside", "nested"])
@pytest.mark.parametrize("how", ["complete", "close"])
async def test_a_read_over_a_socket_stops_when_it_is_completed_or_closed(
    services: Services, actor: Actor, query: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(services, actor) as door, locked(door.dsn) as watcher, door.socket() as client:
        await client.subscribe(query)
        await watcher.working()
        if how == "complete":
            await client.send({"id": "1", "type": "complete"})
        else:
            await client.socket.close()
        await watcher.stopped()
        await all_is_quiet(door)
    assert caplog.records == []


async def stored(services: Services) -> int:
    async with services.database.transaction(CITY) as transaction:
        return len(await transaction.fetch("SELECT FROM lakefront.events"))


async def retried(door: Door) -> Any:
    """What the mutation tells who sends it again."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{door.port}", timeout=10) as client:
        answer = await client.post("/graphql", json={"query": INGEST, "variables": {"e": EVENTS}})
    return answer.json()["data"]["ingestPermitEvents"]


async def test_a_mutation_runs_to_its_end(door: Door, services: Services) -> None:
    async with locked(door.dsn, "events") as watcher:
        writer = await door.send(INGEST, {"e": EVENTS})
        await watcher.working()
        writer.close()
        await asyncio.sleep(0.3)
        assert await watcher.count() >= 1
    await all_is_quiet(door)
    assert await stored(services) == 2
    assert await retried(door) == {"accepted": 2, "duplicates": 0}, "the answer that was not heard"
    assert await stored(services) == 2


async def test_a_mutation_that_is_completed_over_a_socket_is_done_or_not(door: Door, services: Services) -> None:
    async with locked(door.dsn, "events") as watcher, door.socket() as client:
        await client.subscribe(INGEST, variables={"e": EVENTS})
        await watcher.working()
        await client.send({"id": "1", "type": "complete"})
        async with asyncio.timeout(2):
            while door.operations.turns.taken:  # noqa: ASYNC110 - nobody sets an event
                await asyncio.sleep(0.01)
    await all_is_quiet(door)
    assert await stored(services) in (0, 2)
    told = await retried(door)
    assert told["accepted"] + told["duplicates"] == 2
    assert await stored(services) == 2
