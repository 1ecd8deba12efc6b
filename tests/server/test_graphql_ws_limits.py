"""GraphQL over WebSocket: its limits hold, hostile clients are let go, nothing is left behind."""

import asyncio
import json
import logging
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from lakefront.server.socket_messages import Close, CloseSocket, read_message
from tests.graphql.sample import READER
from tests.server.sockets import INIT, Door, opened, settled, until

LONG_FRAME = (0xA0000).to_bytes(8, "big") + bytes(4) + b"x" * 0xA0000


async def test_only_so_many_operations_at_once(door: Door) -> None:
    async with door.client() as client:
        for number in range(4):
            await client.subscribe("subscription { count(to: 1, pause: 30) }", str(number))
        answer = await client.receive()
        assert (answer["id"], answer["type"]) == ("3", "error")
        [error] = answer["payload"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert "retryAfter" not in error["extensions"], "it is not a matter of time"
        assert error["message"] == (
            "At most 3 operations run at once on one socket, and 4 MiB of their text. Complete one first."
        )
        await client.send({"type": "complete", "id": "0"})
        await client.subscribe("{ hello }", "4")
        assert (await client.receive())["id"] == "4"


async def test_operations_hold_only_so_many_bytes() -> None:
    async with opened(socket_operations=100) as door, door.client() as client:
        for number in range(6):
            query = "subscription { count(to: 1, pause: 30) }"
            await client.subscribe(query, str(number), variables={"s": "x" * 900_000})
        answers = [await client.receive(), await client.receive()]
        assert {answer["payload"][0]["extensions"]["code"] for answer in answers} == {"RATE_LIMITED"}


async def test_one_user_has_only_so_many_sockets() -> None:
    async with opened(sockets=2) as door, door.client() as first:
        async with door.client(), door.client(init=None) as third:
            await third.send(INIT)
            assert await third.closed() == 1013
            async with door.client(init={**INIT, "payload": {"Authorization": "Bearer writer"}}) as other:
                await other.send({"type": "ping"})
                assert await other.receive() == {"type": "pong"}
        await until(lambda: door.app.open == 1)
        async with door.client():
            await first.send({"type": "ping"})
            assert await first.receive() == {"type": "pong"}


async def test_complete_stops_and_frees_the_id(door: Door) -> None:
    tasks = len(asyncio.all_tasks())
    async with door.client() as client:
        for _ in range(20):
            await client.subscribe("subscription { count(to: 100000, pause: 0.001) }")
            assert (await client.receive())["type"] == "next"
            await client.send({"type": "complete", "id": "1"})
            await client.send({"type": "ping"})
            while (await client.receive())["type"] != "pong":
                pass
            assert door.world.following == 0
    await settled(door.world, tasks)


@pytest.mark.parametrize("how", ["close", "abort", "malformed"])
async def test_nothing_is_left_behind(door: Door, how: str) -> None:
    tasks = len(asyncio.all_tasks())
    async with door.client() as client:
        await client.subscribe("subscription { count(to: 100000, pause: 0.001) }", "a")
        await client.subscribe("subscription { count(to: 1, pause: 60) }", "b")
        await client.subscribe("{ sleep(seconds: 60) }", "c")
        await client.receive()
        await until(lambda: (door.world.following, door.world.sleeping) == (2, 1))
        if how == "abort":
            client.socket.transport.abort()
        elif how == "malformed":
            await client.send("[]")
    await settled(door.world, tasks)


async def test_who_is_late_with_init_is_4408() -> None:
    async with opened(socket_init_timeout=0.2) as door, door.client(init=None) as client:
        await client.send({"type": "ping"})
        assert await client.closed() == 4408
        async with door.client() as patient:
            await asyncio.sleep(0.4)
            await patient.send({"type": "ping"})
            assert await patient.receive() == {"type": "pong"}


async def test_a_socket_ends_with_its_token(door: Door) -> None:
    door.world.tokens["short"] = replace(READER, expires_at=time.time() + 1)
    init = {"type": "connection_init", "payload": {"Authorization": "Bearer short"}}
    async with door.client(init=init) as client:
        await client.subscribe("subscription { count(to: 100, pause: 0.2) }")
        began = time.time()
        assert await client.closed() == 4403
        assert 0.5 < time.time() - began < 2


async def test_who_does_not_read_is_let_go() -> None:
    tasks = len(asyncio.all_tasks())
    async with opened(socket_send_timeout=0.5) as door, door.client() as client, door.client() as other:
        client.socket.transport.pause_reading()
        await client.subscribe("subscription { count(to: 1000000, size: 100000) }")
        await until(lambda: bool(door.world.following))
        # Everybody else is served meanwhile.
        await other.subscribe("{ hello }")
        assert (await other.receive())["type"] == "next"
        await until(lambda: not door.world.following)
        client.socket.transport.abort()
    await settled(door.world, tasks)


async def test_pings_without_reading_do_not_fill_the_memory() -> None:
    async with opened(socket_send_timeout=0.5) as door:
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(
            b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        )
        ping = b"\x89\xfd\x00\x00\x00\x00" + b"x" * 125
        sent = 0
        try:
            async with asyncio.timeout(2):
                while sent < 100_000_000:
                    writer.write(ping * 1000)
                    sent += len(ping) * 1000
                    await writer.drain()
        except (TimeoutError, ConnectionError):
            pass
        # What fits into the buffers of both ends, and no more.
        assert sent < 50_000_000
        writer.transport.abort()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\x81\x81\x00\x00\x00\x00\xff", 1007),
        (b"\x01\x80\x00\x00\x00\x00" + b"\x00\x80\x00\x00\x00\x00" * 3000, 1008),
        (b"\x81\xff\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00", 1009),
        (b"\x01\xff" + LONG_FRAME + b"\x80\xff" + LONG_FRAME, 1009),
        (b"\x81\x01x", 1002),
    ],
    ids=["bad UTF-8", "empty frames", "too large", "too large in parts", "unmasked"],
)
async def test_broken_frames_end_the_socket(
    door: Door, frames: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with door.client(init=None) as client:
        client.socket.transport.write(frames)
        assert await client.closed() == code
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(["connection_init", "ping", "pong", "subscribe", "complete", "next", "error", "x"])
payloads = json_values | st.fixed_dictionaries({"query": st.sampled_from(["{hello}", "{", "subscription{count}"])})
messages = st.fixed_dictionaries({"type": kinds | json_values}, optional={"id": json_values, "payload": payloads})


@hypothesis_settings(max_examples=300, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=50) | (json_values | messages).map(json.dumps))
def test_any_text_is_a_message_or_a_close(text: str) -> None:
    try:
        read_message(text, max_depth=32)
    except CloseSocket as end:
        code = end.code
    else:
        code = Close.BAD_MESSAGE
    assert code == Close.BAD_MESSAGE


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(sent=st.lists((json_values | messages).map(json.dumps), max_size=6))
async def test_no_conversation_breaks_the_door(door: Door, sent: list[str]) -> None:
    async with door.client() as client:
        try:
            for text in sent:
                await client.send(text)
            await client.send("[]")
        except ConnectionClosed:
            pass
        assert await client.closed() in {4400, 4409, 4429, 4403}
