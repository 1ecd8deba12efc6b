"""Shared subscriptions over real sockets: ready frames, slow clients, lost rights, the end of the server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lakefront.settings import Settings
from tests.domain.permits.events import event
from tests.server.sockets import Client
from tests.server.test_metrics import scrape, value
from tests.server.wired import Wired, wired

FOLLOW = """subscription ($after: String, $heartbeat: Int) {
  permitEvents(after: $after, heartbeat: $heartbeat) { cursor event { eventId offset } }
}"""


@pytest.fixture
async def door(dsn: str, tmp_path: Path) -> AsyncIterator[Wired]:
    settings = Settings(port=0, data=tmp_path, database_url=dsn, rate_limits="off", follower_buffer=200, sockets=500)
    async with wired(settings) as made:
        yield made


@asynccontextmanager
async def follower(door: Wired, role: str = "reader", name: str = "1", **variables: Any) -> AsyncIterator[Client]:
    """A socket that follows."""
    narrow = socket.socket()  # the kernel would keep megabytes for a client that does not read
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", door.port))
    url = f"ws://127.0.0.1:{door.port}/graphql"
    offered = [Subprotocol("graphql-transport-ws")]
    async with connect(url, sock=narrow, subprotocols=offered, compression=None) as opened:
        client = Client(opened)
        await client.send({"type": "connection_init", "payload": door.bearer(role)})
        assert await client.receive() == {"type": "connection_ack"}
        await client.subscribe(FOLLOW, name, variables=variables)
        yield client


async def listening(door: Wired, members: int) -> None:
    """Wait until so many take what a group tells."""
    async with asyncio.timeout(10):
        while value(await scrape(door), "lakefront_subscription_members") != members:
            pass


async def ids(client: Client, number: int, name: str = "1") -> list[str]:
    told = []
    for _ in range(number):
        message = await client.receive()
        assert (message["id"], message["type"]) == (name, "next"), message
        told.append(message["payload"]["data"]["permitEvents"]["event"]["eventId"])
    return told


async def test_many_sockets_one_execution(door: Wired) -> None:
    names = ["1", "1", "2", "ein-Ä\"'", "x" * 128]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(follower(door, name=name)) for name in names]
        await listening(door, len(clients))
        for number in range(10):
            await door.ingest([event(eventId=f"e{number}", permitId="one")])
        expected = [f"e{number}" for number in range(10)]
        for client, name in zip(clients, names, strict=True):
            assert await ids(client, 10, name) == expected
        samples = await scrape(door)
        assert value(samples, "lakefront_subscription_groups") == 1
        assert value(samples, "lakefront_subscription_executions_total") == 10
        assert value(samples, "lakefront_subscription_deliveries_total") == 50


async def test_large_messages_and_many_at_once(door: Wired) -> None:
    async with follower(door) as client, follower(door) as other:
        await listening(door, 2)
        sent = [event(eventId=f"{number}-" + "x" * 190, permitId="one") for number in range(150)]
        assert (await door.ingest(sent)).json()["accepted"] == len(sent)
        expected = [each["eventId"] for each in sent]
        assert await ids(client, 150) == expected
        assert await ids(other, 150) == expected


async def test_who_does_not_read_lags_and_holds_nobody_up(door: Wired) -> None:
    async with follower(door) as quick, follower(door) as slow:
        await listening(door, 2)
        transport: Any = slow.socket.transport
        transport.pause_reading()
        expected: list[str] = []
        while value(await scrape(door), "lakefront_subscription_members") == 2:
            sent = [event(eventId=f"{len(expected)}-{number}-" + "x" * 190, permitId="one") for number in range(150)]
            assert (await door.ingest(sent)).json()["accepted"] == len(sent)
            expected += [each["eventId"] for each in sent]
            assert await ids(quick, 150) == expected[-150:]
        transport.resume_reading()
        told, cursor = [], None
        while (message := await slow.receive())["type"] == "next":
            told.append(message["payload"]["data"]["permitEvents"]["event"]["eventId"])
            cursor = message["payload"]["data"]["permitEvents"]["cursor"]
        assert told == expected[: len(told)]
        assert len(told) < len(expected)
        extensions = message["payload"][0]["extensions"]
        assert (message["type"], extensions["code"], extensions["cursor"]) == ("error", "LAGGED", cursor)
    assert value(await scrape(door), "lakefront_subscriptions_lagged_total") == 1
    async with follower(door, after=cursor) as again:
        assert await ids(again, len(expected) - len(told)) == expected[len(told) :]


async def test_a_stopping_server_closes_all(dsn: str, tmp_path: Path) -> None:
    settings = Settings(port=0, data=tmp_path, database_url=dsn, rate_limits="off")
    async with AsyncExitStack() as stack:
        async with wired(settings) as door:
            clients = [await stack.enter_async_context(follower(door)) for _ in range(3)]
            await listening(door, 3)
        for client in clients:
            assert await client.closed() in {1001, 1006, 1012}
