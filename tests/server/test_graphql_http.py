"""GraphQL over HTTP on a real socket: negotiation, statuses, refusals, and the traps of bodies and documents."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lakefront.server.graphql_http import GRAPHQL_JSON, PLAIN_JSON, GraphQLHTTP
from tests.graphql.sample import World, build
from tests.server.serving import exchange, guarded, serving

READER = {"Authorization": "Bearer reader"}


class Door:
    """A served door and a client of it."""

    def __init__(self, port: int, world: World, client: httpx.AsyncClient) -> None:
        self.port = port
        self.world = world
        self.client = client

    async def post(self, body: Any = None, *, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        """POST ``body`` as JSON, or ``content=`` as it is, as the reader."""
        content = more.pop("content", None)
        content = json.dumps(body).encode() if content is None else content
        return await self.client.post(
            "/graphql", content=content, headers={"Content-Type": PLAIN_JSON, **READER, **(headers or {})}, **more
        )


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    operations, world, settings = build(allowed_origins=("https://app.example",), body_timeout=1.0)
    async with (
        serving(guarded(GraphQLHTTP(operations, world.authenticate, settings), settings), settings) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
    ):
        yield Door(port, world, client)


async def test_a_query_is_answered(door: Door) -> None:
    response = await door.post({"query": "query($n: String!) { hello(name: $n) }", "variables": {"n": "Ada"}})
    assert response.status_code == 200
    assert response.json() == {"data": {"hello": "hello Ada"}}
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert "server" not in response.headers


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, PLAIN_JSON),
        ("*/*", PLAIN_JSON),
        ("application/*", PLAIN_JSON),
        (PLAIN_JSON, PLAIN_JSON),
        ("application/json; charset=utf-8", PLAIN_JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, application/json;q=0.9", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.5, application/json", PLAIN_JSON),
        (f"{GRAPHQL_JSON}, */*", GRAPHQL_JSON),
        (f"application/json, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"text/event-stream, {PLAIN_JSON}", PLAIN_JSON),
        (
            f"{GRAPHQL_JSON}, application/graphql+json, application/json, text/event-stream, multipart/mixed",
            GRAPHQL_JSON,
        ),
    ],
)
async def test_the_media_type_is_negotiated(door: Door, accept: str | None, media: str) -> None:
    headers = {"Accept": accept} if accept else {}
    response = await door.post({"query": "{ hello }"}, headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{media}; charset=utf-8"
    refused = await door.post({"query": "{ nothing }"}, headers=headers)
    graphql_json = refused.headers["content-type"].startswith(GRAPHQL_JSON)
    assert refused.status_code == (400 if graphql_json else 200)
    assert "data" not in refused.json()
    partial = await door.post({"query": "{ hello fail }"}, headers=headers)
    assert partial.status_code == 200
    assert partial.json()["data"] == {"hello": "hello world", "fail": None}


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "text/event-stream;q=0", "image/*, text/*"])
async def test_what_nobody_can_read_is_406(door: Door, accept: str) -> None:
    response = await door.post({"query": "{ hello }"}, headers={"Accept": accept})
    assert response.status_code == 406
    assert response.json()["errors"][0]["extensions"]["code"] == "NOT_ACCEPTABLE"


async def test_get_asks_but_never_changes(door: Door) -> None:
    get = door.client.get
    variables = json.dumps({"n": "Zoë"})
    response = await get(
        "/graphql", params={"query": "query($n: String!){hello(name: $n)}", "variables": variables}, headers=READER
    )
    assert response.json() == {"data": {"hello": "hello Zoë"}}
    writer = {"Authorization": "Bearer writer"}
    response = await get("/graphql", params={"query": "mutation { increment }"}, headers=writer)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert door.world.increments == 0
    several = {"query": "query a { hello } mutation b { increment }", "operationName": "a"}
    assert (await get("/graphql", params=several, headers=writer)).status_code == 200
    for bad in ({}, {"query": ""}, {"query": "{hello}", "variables": "[1]"}, {"query": "{hello}", "variables": "{"}):
        response = await get("/graphql", params=bad, headers={**READER, "Accept": GRAPHQL_JSON})
        assert response.status_code == 400, bad
    told = {
        "{": "The parameter 'variables' is not well-formed JSON in UTF-8",
        " ": "The parameter 'variables' is empty",
        "[1]": "The parameter 'variables' must be an object or null",
    }
    for variables, message in told.items():
        response = await get("/graphql", params={"query": "{hello}", "variables": variables}, headers=READER)
        assert response.json()["errors"][0]["message"].startswith(message)
    response = await get("/graphql", params={"": ""}, headers=READER)
    assert "in the parameter 'query'" in response.json()["errors"][0]["message"]
    assert (await get("/graphql?query=%FF", headers=READER)).status_code == 400
    assert (await get("/graphql?query={hello}&query={hello}", headers=READER)).status_code == 400


async def test_an_empty_body_is_told(door: Door) -> None:
    for body in (b"", b" \n"):
        response = await door.client.post(
            "/graphql", content=body, headers={**READER, "Content-Type": "application/json"}
        )
        assert response.status_code == 400
        assert response.json()["errors"][0]["message"] == "The body is empty. Send a JSON object."


async def test_extensions_are_asked_for_with_true(door: Door) -> None:
    for extensions in ({"cost": "yes"}, {"plan": 1}):
        response = await door.post({"query": "{ hello }", "extensions": extensions})
        [name] = extensions
        assert response.json()["errors"][0]["message"] == f"'extensions.{name}' must be true or false."
        assert "data" not in response.json()
    for told in (False, None):
        response = await door.post({"query": "{ hello }", "extensions": {"cost": told, "theirs": "anything"}})
        assert response.json() == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "TRACE", "PROPFIND"])
async def test_other_methods_are_405(door: Door, method: str) -> None:
    response = await door.client.request(method, "/graphql", headers=READER)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST, OPTIONS")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/json; charset=utf-16",
        "application/graphql",
        "",
    ],
)
async def test_only_json_in_utf8_is_read(door: Door, content_type: str) -> None:
    response = await door.post({"query": "{ hello }"}, headers={"Content-Type": content_type})
    assert response.status_code == 415
    assert response.json()["errors"][0]["extensions"]["errorCode"] == "unsupported_media_type"


async def test_charset_utf8_may_be_said(door: Door) -> None:
    for kind in ("application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'):
        assert (await door.post({"query": "{ hello }"}, headers={"Content-Type": kind})).status_code == 200


BAD_BODIES = {
    "empty": b"",
    "null": b"null",
    "number": b"1",
    "true": b"true",
    "string": b'"x"',
    "batch": b'[{"query":"{hello}"}]',
    "no query": b"{}",
    "query is a number": b'{"query": 1}',
    "operation name is a list": b'{"query": "{hello}", "operationName": []}',
    "variables are a list": b'{"query": "{hello}", "variables": []}',
    "variables are text": b'{"query": "{hello}", "variables": "{}"}',
    "extensions are a number": b'{"query": "{hello}", "extensions": 7}',
    "deep": b'{"query": "{hello}", "variables": {"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "deep enough": b'{"query": "{hello}", "variables": {"a":' + b"[" * 40 + b"]" * 40 + b"}}",
    "unclosed": b"[" * 100_000,
    "long integer": b'{"query": "{hello}", "variables": {"a": ' + b"9" * 100_000 + b"}}",
    "bad UTF-8": b'{"query": "{hello \xff}"}',
    "lone surrogate": b'{"query": "{hello(name: \\"\\ud800\\")}"}',
    "raw surrogate": b'{"query": "\xed\xa0\x80"}',
    "NaN": b'{"query": "{hello}", "variables": {"a": NaN}}',
    "infinity": b'{"query": "{hello}", "variables": {"a": -Infinity}}',
    "huge float": b'{"query": "{hello}", "variables": {"a": 1e999}}',
    "byte order mark": b'\xef\xbb\xbf{"query": "{hello}"}',
    "two values": b'{"query": "{hello}"}{}',
    "UTF-16": '{"query": "{hello}"}'.encode("utf-16"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_a_400_at_once(door: Door, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    began = asyncio.get_running_loop().time()
    response = await door.post(content=BAD_BODIES[name])
    assert asyncio.get_running_loop().time() - began < 1
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert len(error["message"]) < 300
    ours = [record for record in caplog.records if record.name.startswith("lakefront")]
    assert len(ours) == 1
    assert ours[0].exc_info is None
    assert len(ours[0].getMessage()) < 200


async def test_sizes_and_encodings_of_bodies(door: Door) -> None:
    big = json.dumps({"query": "{ hello }", "extensions": {"a": "x" * 2_000_000}}).encode()
    assert (await door.post(content=big)).status_code == 413
    packed = {"Content-Encoding": "gzip"}
    assert (await door.post(content=gzip.compress(b'{"query":"{hello}"}'), headers=packed)).status_code == 200
    bomb = gzip.compress(b" " * 200_000_000)
    assert (await door.post(content=bomb, headers=packed)).status_code == 413
    assert (await door.post(content=b'{"query":"{hello}"}', headers=packed)).status_code == 400
    for other in ("br", "gzip, gzip", "deflate"):
        assert (await door.post({"query": "{hello}"}, headers={"Content-Encoding": other})).status_code == 415


async def test_a_slow_body_is_408_and_a_client_that_leaves_is_nobody(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer reader\r\nContent-Type: application/json\r\n"
    answer = await exchange(door.port, head + b'Content-Length: 100\r\n\r\n{"query"', seconds=4)
    assert answer.startswith(b"HTTP/1.1 408 ")
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(head + b"Content-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await asyncio.sleep(0.1)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_who_asks_comes_first(door: Door) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic cmVhZGVy"}):
        response = await door.client.post("/graphql", json={"query": "{ hello }"}, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.json()["errors"][0]["extensions"]["errorCode"] == "unauthenticated"
    response = await door.client.post("/graphql", json={}, headers={"Authorization": "Bearer down"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")
    twice = [("Authorization", "Bearer reader"), ("Authorization", "Bearer writer")]
    assert (await door.client.post("/graphql", json={"query": "{ hello }"}, headers=twice)).status_code == 401


async def test_what_the_token_may_not_do_is_403(door: Door) -> None:
    response = await door.post({"query": "mutation { increment }"})
    assert response.status_code == 403
    assert "permits:write" in response.json()["errors"][0]["message"]
    assert (await door.post({"query": "{ undeclared }"})).status_code == 403
    assert door.world.increments == 0


async def test_subscriptions_are_told_where_to_go(door: Door) -> None:
    for accept, status in ((PLAIN_JSON, 200), (GRAPHQL_JSON, 400), ("*/*", 200), ("text/event-stream;q=0, */*", 200)):
        response = await door.post({"query": "subscription { count }"}, headers={"Accept": accept})
        assert response.status_code == status
        assert "graphql-transport-ws" in response.json()["errors"][0]["message"]


async def test_foreign_origins_stay_out(door: Door) -> None:
    own = {"Origin": f"http://127.0.0.1:{door.port}"}
    assert (await door.post({"query": "{hello}"}, headers=own)).status_code == 200
    for foreign in ("https://evil.example", "null", "http://127.0.0.1:1", "https://app.example.evil", "", "://"):
        response = await door.post({"query": "{hello}"}, headers={"Origin": foreign})
        assert response.status_code == 403, foreign
        assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert "access-control-allow-origin" not in response.headers
    response = await door.post({"query": "{hello}"}, headers={"Origin": "https://app.example"})
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    assert "Origin" in response.headers["vary"]
    ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    response = await door.client.options("/graphql", headers=ask)
    assert response.status_code == 204
    assert "Authorization" in response.headers["access-control-allow-headers"]
    response = await door.client.options("/graphql", headers={**ask, "Origin": "https://evil.example"})
    assert response.status_code == 403
    behind_tls = {"Origin": "https://lake.example", "Host": "lake.example"}
    assert (await door.post({"query": "{hello}"}, headers=behind_tls)).status_code == 200


async def test_numbers_keep_their_digits(door: Door) -> None:
    response = await door.post(
        content=b'{"query":"query($n:String){hello(name:$n)}","variables":{"n":1' + b"0" * 30 + b"}}"
    )
    assert response.json()["errors"][0]["extensions"]["code"] == "VALIDATION_ERROR"


async def test_who_finds_no_place_waits_or_comes_again() -> None:
    operations, world, settings = build(graphql_concurrency=1)
    app = GraphQLHTTP(operations, world.authenticate, settings)
    async with (
        serving(guarded(app, settings), settings) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
    ):
        asked = [
            asyncio.create_task(client.get("/graphql", params={"query": "{ sleep(seconds: 0.1) }"}, headers=READER))
            for _ in range(12)
        ]
        answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [503]
    (refused,) = [answer for answer in answers if answer.status_code == 503]
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
requests = st.dictionaries(st.sampled_from(["query", "operationName", "variables", "extensions", "x"]), json_values)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(body=st.binary(max_size=200) | (requests | json_values).map(lambda value: json.dumps(value).encode()))
async def test_no_body_breaks_the_door(door: Door, body: bytes) -> None:
    response = await door.post(content=body, headers={"Accept": GRAPHQL_JSON})
    assert response.status_code == 400
    assert response.json()["errors"]
