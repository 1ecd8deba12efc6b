"""Answers compressed: for whom, what, and without keeping anybody waiting."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from secrets import token_hex

import brotli
import httpx
import pytest
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message

from lakefront.server.compression import CODINGS, Compressed, coding_for
from lakefront.server.responses import json_response
from tests.graphql.sample import settings
from tests.server.serving import serving

LARGE = json.dumps({"data": ["row"] * 1000}).encode()
UNPACK = {"br": brotli.decompress, "gzip": gzip.decompress}


@asynccontextmanager
async def served(app: ASGIApp, least: int = 1024) -> AsyncIterator[httpx.AsyncClient]:
    chosen = settings()
    async with (
        serving(Compressed(app, least), chosen) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield client


async def raw(client: httpx.AsyncClient, accepted: str | None, method: str = "GET") -> tuple[httpx.Response, bytes]:
    """The response to whoever accepts these codings, and its body as it was sent."""
    request = client.build_request(method, "/", headers={"Accept-Encoding": accepted} if accepted else {})
    if accepted is None:
        del request.headers["accept-encoding"]
    response = await client.send(request, stream=True)
    body = b"".join([part async for part in response.aiter_raw()])
    await response.aclose()
    return response, body


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("br", "br"),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("GZIP", "gzip"),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("br;q=0, gzip;q=0", None),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("deflate, zstd", None),
        ("gzip;q=x", None),
        ("x" * 10_000 + ", gzip", "gzip"),
    ],
)
async def test_the_coding_is_negotiated(accepted: str | None, coding: str | None) -> None:
    async with served(json_response(LARGE, headers={"vary": "Accept"})) as client:
        response, body = await raw(client, accepted)
    assert response.status_code == 200
    assert response.headers.get("content-encoding") == coding
    assert int(response.headers["content-length"]) == len(body)
    if coding is None:
        assert body == LARGE
    else:
        assert response.headers["vary"] == "Accept, Accept-Encoding"
        assert UNPACK[coding](body) == LARGE
        assert len(body) < len(LARGE) / 5


@pytest.mark.parametrize(
    "response",
    [
        json_response(b'{"data": 1}'),
        json_response(LARGE, headers={"content-encoding": "zstd"}),
        json_response(LARGE, headers={"etag": '"of-these-bytes"'}),
        json_response(LARGE, status=206),
        json_response(LARGE, media_type="text/event-stream"),
        json_response(LARGE, media_type="application/gzip"),
        Response(LARGE),
        Response(status_code=304, headers={"content-type": "application/json"}),
    ],
)
async def test_others_are_left_as_they_are(response: Response) -> None:
    async with served(response) as client:
        answer, body = await raw(client, "gzip")
    assert answer.headers.get("content-encoding") in (None, "zstd")
    assert body == response.body


async def test_what_comes_in_pieces_is_left_and_comes_at_once() -> None:
    more = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield LARGE
        await more.wait()
        yield LARGE

    async with (
        served(StreamingResponse(pieces(), media_type="application/json")) as client,
        client.stream("GET", "/", headers={"Accept-Encoding": "br"}) as response,
    ):
        assert "content-encoding" not in response.headers
        received = b""
        async for part in response.aiter_raw():
            received += part
            if len(received) >= len(LARGE):
                more.set()
    assert received == LARGE * 2


async def test_a_weak_etag_stays_and_a_head_has_no_body() -> None:
    async with served(json_response(LARGE, headers={"etag": 'W/"x"', "vary": "Accept-Encoding"})) as client:
        response, _ = await raw(client, "gzip")
        assert (response.headers["etag"], response.headers["vary"]) == ('W/"x"', "Accept-Encoding")
        response, body = await raw(client, "gzip", "HEAD")
        assert ("content-encoding" in response.headers, body) == (False, b"")


async def test_zero_compresses_nothing() -> None:
    async with served(json_response(LARGE), least=0) as client:
        assert "content-encoding" not in (await raw(client, "gzip"))[0].headers


@pytest.mark.parametrize("coding", ["br", "gzip"])
async def test_a_huge_answer_keeps_nobody_waiting(coding: str) -> None:
    huge = token_hex(20_000_000).encode()
    loop = asyncio.get_running_loop()
    began = loop.time()
    packed = await asyncio.to_thread(CODINGS[coding], huge)
    whole = loop.time() - began
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", coding.encode())]}
    answered = asyncio.ensure_future(Compressed(json_response(huge), 1024)(scope, receive, send))
    turns = [loop.time()]
    while not answered.done():
        await asyncio.sleep(0.001)
        turns.append(loop.time())
    await answered
    assert [message.get("body") for message in sent] == [None, packed]
    assert max(after - before for before, after in pairwise(turns)) < whole / 2


def test_several_headers_are_one_list() -> None:
    assert coding_for([(b"accept-encoding", b"br;q=0"), (b"accept-encoding", b"gzip")]) == "gzip"
    assert coding_for([]) is None
