"""GraphQL over WebSocket with a real client: the protocol, its close codes, its limits; nothing is left behind."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from lakefront.server.graphql_ws import GraphQLSocket
from lakefront.server.socket_messages import SUBPROTOCOL, Close, CloseSocket, read_message
from tests.graphql.sample import READER, World, build
from tests.server.serving import serving

INIT = {"type": "connection_init", "payload": {"Authorization": "Bearer reader"}}


LONG_FRAME = (0xA0000).to_bytes(8, "big") + bytes(4) + b"x" * 0xA0000


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
    async with serving(app, settings) as port:
        yield Door(port, world, app)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened(socket_operations=3, allowed_origins=("https://app.example",)) as door:
        yield door


async def until(condition: Callable[[], bool]) -> None:
    """Wait for ``condition``, at most some seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it looks at what the server did, which sets no event
            await asyncio.sleep(0.01)


async def settled(world: World, tasks: int) -> None:
    """Wait until nobody follows and the tasks are as many as before."""
    await until(lambda: not world.following and not world.sleeping and len(asyncio.all_tasks()) <= tasks)


async def test_a_subscription_runs_to_its_end(door: Door) -> None:
    async with door.client() as client:
        assert client.socket.subprotocol == SUBPROTOCOL
        await client.subscribe("subscription($n: Int!) { count(to: $n) }", variables={"n": 2})
        assert await client.receive() == {"id": "1", "type": "next", "payload": {"data": {"count": "0"}}}
        assert await client.receive() == {"id": "1", "type": "next", "payload": {"data": {"count": "1"}}}
        assert await client.receive() == {"id": "1", "type": "complete"}
        await client.subscribe("subscription { count(to: 0) }")
        assert await client.receive() == {"id": "1", "type": "complete"}


async def test_queries_and_mutations_run_once(door: Door) -> None:
    async with door.client(init={"type": "connection_init", "payload": {"authorization": "Bearer writer"}}) as client:
        await client.subscribe("{ hello }")
        assert (await client.receive())["payload"] == {"data": {"hello": "hello world"}}
        assert (await client.receive())["type"] == "complete"
        await client.subscribe("mutation { increment }")
        assert (await client.receive())["payload"] == {"data": {"increment": 1}}
        assert (await client.receive())["type"] == "complete"
    assert door.world.increments == 1


async def test_an_error_ends_its_operation_only(door: Door) -> None:
    async with door.client() as client:
        for query in (
            "{",
            "{ nothing }",
            "",
            "mutation { increment }",
            "{ undeclared }",
            "query a {hello} query b {hello}",
        ):
            await client.subscribe(query)
            answer = await client.receive()
            assert (answer["id"], answer["type"]) == ("1", "error")
            assert answer["payload"][0]["extensions"]["traceId"]
        await client.subscribe("{ hello fail }")
        answer = await client.receive()
        assert answer["type"] == "next"
        assert answer["payload"]["errors"][0]["path"] == ["fail"]
        assert (await client.receive())["type"] == "complete"


async def test_a_stream_that_fails_says_where_to_go_on(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    async with door.client() as client:
        await client.subscribe('subscription { failing(how: "lagged") }')
        assert (await client.receive())["payload"] == {"data": {"failing": 1}}
        answer = await client.receive()
        assert answer["type"] == "error"
        assert answer["payload"][0]["extensions"]["code"] == "LAGGED"
        assert answer["payload"][0]["extensions"]["cursor"] == "the-cursor"
        await client.subscribe("subscription { failing }")
        await client.receive()
        answer = await client.receive()
        assert answer["payload"][0]["extensions"]["code"] == "INTERNAL_ERROR"
        assert "hunter2" not in json.dumps(answer)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_each_event_has_a_context_of_its_own(door: Door) -> None:
    async with door.client() as client:
        await client.subscribe("subscription { contexts { name } }")
        while (await client.receive())["type"] == "next":
            pass
    assert door.world.contexts == 1 + 3


async def test_pings_are_answered_and_pongs_are_not(door: Door) -> None:
    async with door.client(init=None) as client:
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}
        await client.send({"type": "pong", "payload": {}})
        await client.send({"type": "ping", "payload": {"a": 10**30}})
        assert await client.receive() == {"type": "pong", "payload": {"a": 10**30}}


@pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {}}, {"payload": {"Authorization": None}}])
async def test_the_handshakes_header_will_do(door: Door, payload: dict[str, Any]) -> None:
    headers = {"Authorization": "Bearer reader"}
    async with door.client(init={"type": "connection_init", **payload}, additional_headers=headers) as client:
        await client.subscribe("{ hello }")
        assert (await client.receive())["type"] == "next"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, 4403),
        ({"payload": {"Authorization": "Bearer wrong"}}, 4403),
        ({"payload": {"Authorization": "Bearer down"}}, 1013),
        ({"payload": {"Authorization": 1}}, 4400),
        ({"payload": {"Authorization": "Bearer reader", "authorization": "Bearer writer"}}, 4400),
        ({"payload": []}, 4400),
        ({"payload": "Bearer reader"}, 4400),
        ({"payload": 1}, 4400),
    ],
)
async def test_who_may_not_come_in_is_told(door: Door, payload: dict[str, Any], code: int) -> None:
    async with door.client(init=None) as client:
        await client.send({"type": "connection_init", **payload})
        assert await client.closed() == code


MALFORMED = [
    "[]",
    "null",
    "1",
    '"x"',
    "",
    "{",
    "{}",
    '{"type": null}',
    '{"type": "start", "id": "1"}',
    '{"type": "next", "id": "1"}',
    '{"type": "connection_ack"}',
    '{"type": "ping", "payload": []}',
    '{"type": "pong", "payload": 1}',
    '{"type": "complete"}',
    '{"type": "complete", "id": 1}',
    '{"type": "subscribe", "id": "1"}',
    '{"type": "subscribe", "id": "1", "payload": null}',
    '{"type": "subscribe", "id": "1", "payload": []}',
    '{"type": "subscribe", "id": "1", "payload": {}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{hello}", "variables": []}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{hello}", "operationName": 1}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{hello}", "extensions": "x"}}',
    '{"type": "subscribe", "id": {}, "payload": {"query": "{hello}"}}',
    '{"type": "subscribe", "id": 1, "payload": {"query": "{hello}"}}',
    '{"type": "subscribe", "id": "", "payload": {"query": "{hello}"}}',
    '{"type": "subscribe", "id": "' + "x" * 200 + '", "payload": {"query": "{hello}"}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "\\ud800"}}',
    '{"type": "ping", "payload": {"a": NaN}}',
    '{"type": "ping", "payload": {"a": ' + "9" * 100_000 + "}}",
    '{"type": "ping", "payload": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}",
    "[" * 100_000,
    b'{"type": "ping"}',
]


@pytest.mark.parametrize("message", MALFORMED, ids=[str(message)[:60] for message in MALFORMED])
async def test_malformed_messages_close_with_4400(
    door: Door, message: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with door.client() as client:
        await client.send(message)
        assert await client.closed() == 4400
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_the_order_of_messages(door: Door) -> None:
    async with door.client(init=None) as client:
        await client.subscribe("{ hello }")
        assert await client.closed() == 4401
    async with door.client() as client:
        await client.send(INIT)
        assert await client.closed() == 4429
    async with door.client() as client:
        await client.subscribe("subscription { count(to: 1000, pause: 0.01) }", "a")
        await client.subscribe("subscription { count }", "a")
        assert await client.closed() == 4409
    async with door.client() as client:
        await client.send({"type": "complete", "id": "unknown"})
        await client.subscribe("{ hello }")
        assert (await client.receive())["type"] == "next"


@pytest.mark.parametrize("subprotocols", [(), ("graphql-ws",), ("chat", "graphql-ws")])
async def test_other_subprotocols_are_4406(door: Door, subprotocols: tuple[str, ...]) -> None:
    async with door.client(init=None, subprotocols=subprotocols) as client:
        assert await client.closed() == 4406


async def test_one_of_several_subprotocols_will_do(door: Door) -> None:
    async with door.client(subprotocols=("graphql-ws", SUBPROTOCOL)) as client:
        assert client.socket.subprotocol == SUBPROTOCOL


async def test_foreign_origins_are_refused_in_the_handshake(door: Door) -> None:
    for origin in ("https://evil.example", "null"):
        with pytest.raises(InvalidStatus) as refusal:
            async with door.client(additional_headers={"Origin": origin}):
                pass
        assert refusal.value.response.status_code == 403
        assert json.loads(refusal.value.response.body or b"")["error_code"] == "forbidden"
    for origin in ("https://app.example", f"http://127.0.0.1:{door.port}"):
        async with door.client(additional_headers={"Origin": origin}):
            pass


async def test_only_so_many_operations_at_once(door: Door) -> None:
    async with door.client() as client:
        for number in range(4):
            await client.subscribe("subscription { count(to: 1, pause: 30) }", str(number))
        answer = await client.receive()
        assert (answer["id"], answer["type"]) == ("3", "error")
        assert answer["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
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


async def test_a_revoked_actor_is_put_out(door: Door) -> None:
    async with door.client() as client, door.client() as other:
        assert door.app.revoke(lambda actor: actor.subject == "nobody known") == 0
        assert door.app.revoke(lambda actor: actor.subject == READER.subject) == 2
        assert await client.closed() == 4403
        assert await other.closed() == 4403


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
