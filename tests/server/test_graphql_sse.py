"""GraphQL over server-sent events on a real socket: the protocol, who gets it, and how a stream ends."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
import pytest

from lakefront.server.graphql_http import GRAPHQL_JSON, PLAIN_JSON, GraphQLHTTP
from tests.graphql.sample import World, build
from tests.server.events import EVENTS, Reader, following
from tests.server.serving import exchange, guarded, serving

URQL = f"{GRAPHQL_JSON}, application/graphql+json, {PLAIN_JSON}, text/event-stream, multipart/mixed"


class Door:
    """A served door and a client of it."""

    def __init__(self, port: int, world: World, app: GraphQLHTTP, client: httpx.AsyncClient) -> None:
        self.port = port
        self.world = world
        self.app = app
        self.client = client

    async def post(self, query: str, *, accept: str = "text/event-stream", token: str = "reader") -> httpx.Response:
        headers = {"Accept": accept, "Authorization": f"Bearer {token}"}
        return await self.client.post("/graphql", json={"query": query}, headers=headers)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    operations, world, settings = build(sse_heartbeat=0.2, sse_streams=3, socket_send_timeout=0.5)
    app = GraphQLHTTP(operations, world.authenticate, settings)
    async with (
        serving(guarded(app, settings), settings) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
    ):
        yield Door(port, world, app, client)


async def test_a_subscription_is_told_as_the_protocol_says(door: Door) -> None:
    response = await door.post("subscription { count(to: 2) }")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert len(response.headers["x-trace-id"]) == 32
    assert "content-encoding" not in response.headers
    assert response.text == (
        ":\n\n"
        'event: next\ndata: {"data":{"count":"0"}}\n\n'
        'event: next\ndata: {"data":{"count":"1"}}\n\n'
        "event: complete\ndata:\n\n"
    )


async def test_queries_and_mutations_are_one_event(door: Door) -> None:
    response = await door.post("{ hello }")
    assert response.text == 'event: next\ndata: {"data":{"hello":"hello world"}}\n\nevent: complete\ndata:\n\n'
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    response = await door.post("mutation { increment }", token="writer")
    assert '{"data":{"increment":1}}' in response.text
    params = {"query": "mutation { increment }"}
    refused = await door.client.get("/graphql", params=params, headers={**EVENTS, "Authorization": "Bearer writer"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert door.world.increments == 1


@pytest.mark.parametrize(
    ("accept", "query", "subscription"),
    [
        (URQL, GRAPHQL_JSON, "text/event-stream"),
        (f"{PLAIN_JSON}, text/event-stream", PLAIN_JSON, "text/event-stream"),
        (f"text/event-stream, {PLAIN_JSON}", PLAIN_JSON, "text/event-stream"),
        (f"text/event-stream;q=0.1, {GRAPHQL_JSON}", GRAPHQL_JSON, "text/event-stream"),
        (f"text/event-stream, {PLAIN_JSON};q=0.9", "text/event-stream", "text/event-stream"),
        ("text/event-stream", "text/event-stream", "text/event-stream"),
        ("*/*", PLAIN_JSON, PLAIN_JSON),
        (f"{PLAIN_JSON}, text/*", PLAIN_JSON, PLAIN_JSON),
        (f"{PLAIN_JSON}, text/event-stream;q=0", PLAIN_JSON, PLAIN_JSON),
    ],
)
async def test_who_merely_lists_events_gets_them_for_subscriptions_alone(
    door: Door, accept: str, query: str, subscription: str
) -> None:
    answered = await door.post("{ hello }", accept=accept)
    followed = await door.post("subscription { count }", accept=accept)
    kinds = [answer.headers["content-type"].partition(";")[0] for answer in (answered, followed)]
    assert kinds == [query, subscription]
    assert answered.status_code == followed.status_code == 200
    if subscription != "text/event-stream":
        assert "Accept: text/event-stream" in followed.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "query", ["{", "{ nothing }", "", "subscription { nothing }", "query a {hello} query b {hello}"]
)
async def test_what_is_wrong_with_a_document_is_told_in_an_event(door: Door, query: str) -> None:
    response = await door.post(query)
    assert response.status_code == 200
    kind, data, *_ = response.text.splitlines()
    assert kind == "event: next"
    answer = json.loads(data.removeprefix("data: "))
    assert "data" not in answer
    assert answer["errors"]
    assert response.text.endswith("\n\nevent: complete\ndata:\n\n")


@pytest.mark.parametrize(
    ("token", "query", "status"),
    [("wrong", "subscription { count }", 401), ("down", "{ hello }", 503), ("nobody", "subscription { count }", 403)],
)
async def test_what_http_has_to_tell_has_its_status(door: Door, token: str, query: str, status: int) -> None:
    response = await door.post(query, token=token)
    assert response.status_code == status
    assert response.headers["content-type"].startswith(PLAIN_JSON)
    assert response.json()["errors"][0]["extensions"]["traceId"]


async def test_a_stream_that_fails_says_where_to_go_on(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    async with following(door.client, 'subscription { failing(how: "lagged") }') as reader:
        first, second, last = await reader.rest()
    assert first.answer == {"data": {"failing": 1}}
    (error,) = second.answer["errors"]
    assert (error["extensions"]["code"], error["extensions"]["cursor"]) == ("LAGGED", "the-cursor")
    assert (last.kind, last.data) == ("complete", "")
    response = await door.post("subscription { failing }")
    assert "INTERNAL_ERROR" in response.text
    assert "hunter2" not in response.text
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_cursors_are_ids_whatever_is_selected(door: Door) -> None:
    async with following(door.client, "subscription { renamed: numbers { event } }") as reader:
        assert (await reader.block()).kind == ""
        assert reader.last_id == "", "the comment with which each stream begins"
        assert (await reader.block()).kind == ""
        assert reader.last_id == "0", "where it begins is told at once"
        for number in (1, 2, 3):
            assert (await reader.block()).answer == {"data": {"renamed": {"event": number}}}
            assert reader.last_id == str(number)
        assert (await reader.block()).kind == ""
        assert reader.last_id == "3", "a heartbeat, of which the page learns nothing"


async def test_it_goes_on_after_the_last_event_id(door: Door) -> None:
    query = "subscription($after: String) { numbers(after: $after) { event } }"
    async with following(door.client, query, last_id="2", after="1") as reader:
        assert (await reader.event()).answer["data"]["numbers"]["event"] == 3
    headers = [*EVENTS.items(), ("Last-Event-ID", "1"), ("Last-Event-ID", "2")]
    response = await door.client.get("/graphql", params={"query": query}, headers=headers)
    assert response.status_code == 400
    # Other doors know nothing of the header.
    response = await door.client.post("/graphql", json={"query": "{ hello }"}, headers={"Last-Event-ID": "1", **EVENTS})
    assert response.status_code == 200


async def test_heartbeats_that_the_client_asks_for_are_events(door: Door) -> None:
    async with following(door.client, "subscription { numbers(heartbeat: 0.05, to: 0) { event cursor } }") as reader:
        for _ in range(3):
            assert (await reader.event()).answer == {"data": {"numbers": {"event": None, "cursor": "0"}}}
            assert reader.last_id == "0"


async def test_a_silent_field_is_kept_alive_by_comments(door: Door) -> None:
    async with following(door.client, "subscription { count(to: 1, pause: 1) }") as reader:
        blocks = [await reader.block() for _ in range(4)]
        assert [block.kind for block in blocks] == [""] * 4
        assert (await reader.event()).answer == {"data": {"count": "0"}}
        assert reader.last_id == ""


async def settled(door: Door, tasks: int) -> None:
    """Wait until nobody follows and the tasks are as many as before."""
    async with asyncio.timeout(10):
        while door.world.following or len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_client_that_leaves_ends_its_subscription_at_once(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    tasks = len(asyncio.all_tasks())
    async with following(door.client, "subscription { count(to: 2, pause: 60) }") as reader:
        await reader.block()
        assert door.world.following == 1
    async with asyncio.timeout(1):
        await settled(door, tasks)
    async with following(door.client, "subscription { count(to: 100000000) }") as reader:
        await reader.event()
    await settled(door, tasks)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def silent(door: Door, query: str) -> asyncio.StreamWriter:
    """A client that asks and reads nothing."""
    body = json.dumps({"query": query}).encode()
    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer reader\r\nAccept: text/event-stream\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=1024)
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    return writer


async def test_a_request_behind_a_stream_ends_both(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    tasks = len(asyncio.all_tasks())
    for _ in range(4):  # one more than a user may have
        writer = await silent(door, "subscription { count(to: 1, pause: 60) }")
        async with asyncio.timeout(1):
            while not door.world.following:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        writer.write(b"GET /graphql HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        await writer.drain()
        async with asyncio.timeout(1):
            await settled(door, tasks)
        writer.close()
    assert door.app.streams == 0
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_client_that_reads_nothing_is_cut_off(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    tasks = len(asyncio.all_tasks())
    writer = await silent(door, "subscription { count(to: 1000000, size: 100000) }")
    async with asyncio.timeout(1):
        while not door.world.following:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (await door.post("{ hello }")).status_code == 200, "nobody else waits for it"
    async with asyncio.timeout(5):
        while door.world.following:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    writer.transport.abort()
    await settled(door, tasks)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_one_user_has_so_many_streams_and_no_more(door: Door) -> None:
    tasks = len(asyncio.all_tasks())
    endless = "subscription { count(to: 1, pause: 60) }"
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(following(door.client, endless)) for _ in range(3)]
        for reader in readers:
            await reader.block()
        refused = await door.post("subscription { count }")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert (await door.post("subscription { count }", token="writer")).status_code == 200, "another user's"
        assert (await door.post("{ hello }")).status_code == 200, "no stream"
    await settled(door, tasks)
    assert (await door.post("subscription { count }")).status_code == 200


async def test_streams_hold_no_place_of_other_operations() -> None:
    operations, world, settings = build(graphql_concurrency=1)
    async with (
        serving(GraphQLHTTP(operations, world.authenticate, settings), settings) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
        following(client, "subscription { count(to: 2, pause: 0.5) }") as one,
        following(client, "subscription { count(to: 2, pause: 0.5) }") as other,
    ):
        await one.block()
        answer = await client.post("/graphql", json={"query": "{ hello }"}, headers={"Authorization": "Bearer reader"})
        assert answer.json() == {"data": {"hello": "hello world"}}
        assert len(await one.rest()) == len(await other.rest()) == 3


async def ended(reader: Reader, code: str) -> None:
    """The stream ends with this error and completes."""
    *_, error, last = await reader.rest()
    assert error.answer["errors"][0]["extensions"]["code"] == code
    assert "data" not in error.answer
    assert (last.kind, last.data) == ("complete", "")


async def test_a_revoked_token_ends_its_streams(door: Door) -> None:
    async with (
        following(door.client, "subscription { count(to: 1, pause: 60) }") as reader,
        following(
            door.client,
            "subscription { count(to: 1, pause: 0.5) }",
            headers=EVENTS | {"Authorization": "Bearer writer"},
        ) as other,
    ):
        await reader.block()
        await other.block()
        del door.world.tokens["reader"]
        door.app.look_again()
        await ended(reader, "UNAUTHENTICATED")
        assert [event.kind for event in await other.rest()] == ["next", "complete"]


async def test_a_token_ends_its_streams_when_it_expires(door: Door) -> None:
    door.world.tokens["reader"] = replace(door.world.tokens["reader"], expires_at=time.time() + 0.3)
    async with following(door.client, "subscription { count(to: 1, pause: 60) }") as reader:
        await ended(reader, "UNAUTHENTICATED")


async def test_a_server_that_stops_says_so() -> None:
    operations, world, settings = build()
    async with httpx.AsyncClient(timeout=10) as client, AsyncExitStack() as stack:
        async with serving(GraphQLHTTP(operations, world.authenticate, settings), settings) as port:
            client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
            reader = await stack.enter_async_context(following(client, "subscription { count(to: 1, pause: 60) }"))
            await reader.block()
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 3
        assert world.following == 0
        await ended(reader, "UNAVAILABLE")


async def test_http_1_0_knows_no_chunks_and_gets_no_stream(door: Door) -> None:
    ask = "GET /graphql?query={} HTTP/1.0\r\nAuthorization: Bearer reader\r\nAccept: text/event-stream\r\n\r\n"
    refused = await exchange(door.port, ask.format("subscription%7Bcount%7D").encode())
    assert b" 505 HTTP Version Not Supported\r\n" in refused
    assert b"HTTP_VERSION_NOT_SUPPORTED" in refused
    assert b"event: complete" in await exchange(door.port, ask.format("%7Bhello%7D").encode()), "of a known length"
    assert door.world.following == 0


async def test_foreign_pages_stay_out(door: Door) -> None:
    response = await door.client.get(
        "/graphql", params={"query": "subscription { count }"}, headers={**EVENTS, "Origin": "https://evil.example"}
    )
    assert response.status_code == 403
