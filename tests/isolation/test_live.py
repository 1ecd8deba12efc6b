"""Followers of one tenant while the other's events come in: each hears its own alone, over WebSocket and SSE."""

import asyncio
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lakefront.server.socket_messages import SUBPROTOCOL
from tests.isolation.leaks import MARKERS, other, told
from tests.isolation.world import World, events_of

FOLLOW = """
subscription { permitEvents(heartbeat: 1) {
  cursor
  event { eventId eventData permit { permitId description } }
  permit { permitId status addresses { streetName } events(first: 20) { nodes { eventData } } }
} }
"""


def fresh(tenant: str) -> list[dict[str, Any]]:
    """The tenant's events once more, as new ones, with the same ids in both tenants."""
    return [{**event, "eventId": f"live-{event['eventId']}"} for event in events_of(tenant)]


@pytest.mark.parametrize("tenant", MARKERS)
async def test_a_follower_hears_its_own_tenant_alone(world: World, tenant: str) -> None:
    ready = [asyncio.Event(), asyncio.Event()]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        followers = [
            group.create_task(by_socket(world, tenant, ready[0])),
            group.create_task(by_events(world, tenant, ready[1])),
        ]
        for one in ready:
            await one.wait()
        for sender in (other(tenant), tenant):
            sent = await world.served.client.post(
                "/sf-permit-events", json=fresh(sender), headers=world.headers(sender, by_key=True)
            )
            assert sent.json()["accepted"] == len(fresh(sender)), sent.text
    for follower in followers:
        heard = follower.result()
        told(f"what {tenant} followed", heard, MARKERS[other(tenant)])
        assert heard.count(b"live-") == len(fresh(tenant))


async def by_socket(world: World, tenant: str, ready: asyncio.Event) -> bytes:
    """All messages until as many events came as the tenant sends, and one heartbeat after them."""
    received = b""
    url = f"ws://127.0.0.1:{world.served.port}/graphql"
    async with connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, close_timeout=1) as socket:
        await socket.send(orjson.dumps({"type": "connection_init", "payload": world.headers(tenant)}).decode())
        await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": {"query": FOLLOW}}).decode())
        async for message in socket:
            text = message.encode() if isinstance(message, str) else message
            received += text
            if b'"event":null' in text:
                ready.set()
                if received.count(b"live-") >= len(fresh(tenant)):
                    break
    return received


async def by_events(world: World, tenant: str, ready: asyncio.Event) -> bytes:
    """The same over server-sent events."""
    received = b""
    headers = {**world.headers(tenant), "Accept": "text/event-stream"}
    async with world.served.client.stream("GET", "/graphql", params={"query": FOLLOW}, headers=headers) as response:
        async for chunk in response.aiter_raw():
            received += chunk
            if b'"event":null' in chunk:
                ready.set()
                if received.count(b"live-") >= len(fresh(tenant)):
                    break
    return received
