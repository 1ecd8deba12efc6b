"""A tenant tries every door with what it knows of another; whatever it is told is searched for the other's marker."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from lakefront.graphql.schema import build_schema
from lakefront.server.socket_messages import SUBPROTOCOL
from tests.isolation.documents import Documents
from tests.isolation.explore import explore
from tests.isolation.leaks import MARKERS, digest, heard, other, told, unchanged
from tests.isolation.loot import loot
from tests.isolation.rest import Doors, Request
from tests.isolation.world import World

QUIET = 0.05
"""Seconds of silence after which a subscription has told what it had."""


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt: through which door, and what."""

    door: str
    what: Any
    by_key: bool


class Siege:
    """The attempts of ``attacker``, and how each is made. ``answered``: door -> attempts that were not refused."""

    def __init__(self, world: World, attacker: str) -> None:
        self._world = world
        self._attacker = attacker
        self._marker = MARKERS[other(attacker)]
        self._doors: dict[str, Callable[[Any, dict[str, str]], Awaitable[bool]]] = {
            "GraphQL": self._ask,
            "WebSocket": self._follow_by_socket,
            "SSE": self._follow_by_events,
            "REST": self._request,
        }
        self.answered = dict.fromkeys(self._doors, 0)

    async def tries(self) -> st.SearchStrategy[Try]:
        """Any attempt."""
        values = await loot(self._world, self._attacker)
        documents = Documents(build_schema()._schema, values)
        openapi = (await self._world.served.client.get("/openapi.json")).json()
        keys = await self._world.admin.fetch("SELECT key FROM lakefront.lake_objects")
        names = {"tenant_id": values["tenantId"], "key_id": values["keyId"], "key": [row["key"] for row in keys]}
        doors = Doors(openapi, {**values, **names})
        subscriptions = documents.operations("subscription")
        by_door = {
            "GraphQL": documents.operations("query") | documents.operations("mutation"),
            "WebSocket": subscriptions,
            "SSE": st.tuples(subscriptions, st.sampled_from(["", *values["after"]])),
            "REST": doors.requests(),
        }
        weighted = ["GraphQL", "GraphQL", "GraphQL", "REST", "REST", "WebSocket", "SSE"]
        return st.sampled_from(weighted).flatmap(
            lambda door: st.builds(Try, st.just(door), by_door[door], st.booleans())
        )

    async def make(self, one: Try) -> None:
        """Make one attempt; raises ``Leak``."""
        headers = self._world.headers(self._attacker, by_key=one.by_key)
        self.answered[one.door] += await self._doors[one.door](one.what, headers)

    async def _ask(self, document: str, headers: dict[str, str]) -> bool:
        response = await self._world.served.client.post("/graphql", json={"query": document}, headers=headers)
        heard(f"{self._attacker}'s {document}", response, self._marker)
        return "errors" not in response.json()

    async def _request(self, request: Request, headers: dict[str, str]) -> bool:
        response = await self._world.served.client.request(
            request.method, request.path, json=request.body, params=dict(request.query), headers=headers
        )
        heard(f"{self._attacker}'s {request}", response, self._marker)
        return response.is_success

    async def _follow_by_socket(self, document: str, headers: dict[str, str]) -> bool:
        url = f"ws://127.0.0.1:{self._world.served.port}/graphql"
        received: list[Any] = []
        async with connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, close_timeout=1) as socket:
            await socket.send(orjson.dumps({"type": "connection_init", "payload": headers}).decode())
            assert orjson.loads(await socket.recv()) == {"type": "connection_ack"}
            await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": {"query": document}}).decode())
            with suppress(TimeoutError, ConnectionClosed):
                while not received or orjson.loads(received[-1])["type"] == "next":
                    async with asyncio.timeout(QUIET):
                        received.append(await socket.recv())
        for message in received:
            told(f"a message to {self._attacker}'s {document}", message, self._marker)
        return any(orjson.loads(message)["type"] == "next" for message in received)

    async def _follow_by_events(self, asked: tuple[str, str], headers: dict[str, str]) -> bool:
        document, last = asked
        sent = {**headers, "Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        client, received = self._world.served.client, bytearray()
        async with client.stream("GET", "/graphql", params={"query": document}, headers=sent) as response:
            chunks = response.aiter_raw()
            with suppress(TimeoutError, StopAsyncIteration):
                while True:
                    async with asyncio.timeout(QUIET):
                        received += await anext(chunks)
            head = httpx.Response(response.status_code, headers=response.headers, content=b"")
        heard(f"{self._attacker}'s {document} after {last!r}", head, self._marker)
        told(f"the events of {self._attacker}'s {document} after {last!r}", bytes(received), self._marker)
        return b"event: next" in received


async def besiege(world: World, attacker: str, *, examples: int, shrink: bool = True) -> dict[str, int]:
    """Random attempts through every door as ``attacker``: how many were answered; raises ``Leak``."""
    siege, before = Siege(world, attacker), await digest(world.admin, other(attacker))

    async def check(tries: list[Try]) -> None:
        for one in tries:
            await siege.make(one)
        unchanged(before, await digest(world.admin, other(attacker)), but=SHARED_TABLES)

    strategy = st.lists(await siege.tries(), min_size=1, max_size=4)
    await explore(strategy, check, examples=examples, shrink=shrink)
    return siege.answered


SHARED_TABLES = ("tenants.dry_runs",)
"""Tables of no tenant that whoever dry-runs an onboarding may write."""
