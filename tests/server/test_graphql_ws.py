"""GraphQL over WebSocket with a real client: the protocol and its close codes."""

import json
import logging
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from lakefront.server.socket_messages import SUBPROTOCOL
from tests.server.sockets import INIT, Door


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
        await client.subscribe("subscription { contexts { child { name } } }")
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
        assert json.loads(refusal.value.response.body or b"")["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    for origin in ("https://app.example", f"http://127.0.0.1:{door.port}"):
        async with door.client(additional_headers={"Origin": origin}):
            pass
