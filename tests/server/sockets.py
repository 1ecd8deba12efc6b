"""Clients and served doors for the tests of GraphQL over WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from lakefront.server.graphql_ws import GraphQLSocket
from lakefront.server.socket_messages import SUBPROTOCOL
from tests.graphql.sample import World, build
from tests.server.serving import guarded, serving

INIT = {"type": "connection_init", "payload": {"Authorization": "Bearer reader"}}


class Client:
    """One socket, speaking JSON."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, message: Any) -> None:
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> Any:
        async with asyncio.timeout(5):
            return json.loads(await self.socket.recv())

    async def subscribe(self, query: str, name: str = "1", **more: Any) -> None:
        await self.send({"id": name, "type": "subscribe", "payload": {"query": query, **more}})

    async def closed(self) -> int:
        """The code with which the server closes; what it still says before is skipped."""
        async with asyncio.timeout(5):
            with suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        assert self.socket.close_code is not None
        return self.socket.close_code


class Door:
    """A served socket door."""

    def __init__(self, port: int, world: World, app: GraphQLSocket) -> None:
        self.port = port
        self.world = world
        self.app = app

    @asynccontextmanager
    async def client(
        self, *, init: Any = INIT, subprotocols: tuple[str, ...] = (SUBPROTOCOL,), **more: Any
    ) -> AsyncIterator[Client]:
        """A connected client, acknowledged unless ``init`` is ``None``."""
        offered = [Subprotocol(name) for name in subprotocols] or None
        async with connect(
            f"ws://127.0.0.1:{self.port}/graphql", subprotocols=offered, compression=None, close_timeout=1, **more
        ) as socket:
            client = Client(socket)
            if init is not None:
                await client.send(init)
                assert await client.receive() == {"type": "connection_ack"}
            yield client


@asynccontextmanager
async def opened(**changes: Any) -> AsyncIterator[Door]:
    operations, world, settings = build(**changes)
    app = GraphQLSocket(operations, world.authenticate, settings)
    async with serving(guarded(app, settings), settings) as port:
        yield Door(port, world, app)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for ``condition``, at most some seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it looks at what the server did, which sets no event
            await asyncio.sleep(0.01)


async def settled(world: World, tasks: int) -> None:
    """Wait until nobody follows and the tasks are as many as before."""
    await until(lambda: not world.following and not world.sleeping and len(asyncio.all_tasks()) <= tasks)
