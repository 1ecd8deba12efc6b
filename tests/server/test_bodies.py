"""Bodies within their limits, gzip that may be anything, JSON that may be anything, and memory that is shared."""

import asyncio
import gzip
import json
import math
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lakefront.errors import BadRequest, PayloadTooLarge, RequestTimeout, Unavailable, UnsupportedMediaType
from lakefront.server.bodies import FREE, ByteBudget, ClientGone, header, parse_json, read_body, require_json

LIMIT = 1_000_000
GZIP = [(b"content-encoding", b"gzip")]


def sender(*chunks: bytes | None, pause: float = 0) -> Callable[[], Awaitable[MutableMapping[str, Any]]]:
    """An ASGI ``receive`` that gives ``chunks``; ``None`` is a client that leaves."""
    left = list(chunks)

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(pause)
        chunk = left.pop(0)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    return receive


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)] or [b""]


async def read(
    *chunks: bytes | None, headers: Any = (), limit: int = LIMIT, seconds: float = 5, pause: float = 0
) -> bytes:
    with ByteBudget(10 * LIMIT).share() as share:
        return await read_body(headers, sender(*chunks, pause=pause), limit=limit, timeout=seconds, share=share)


async def test_a_body_comes_in_pieces() -> None:
    assert await read(b"ab", b"", b"cd") == b"abcd"
    assert await read(b"") == b""
    assert await read(b"a" * LIMIT) == b"a" * LIMIT


@pytest.mark.parametrize("length", [0, 5, FREE, FREE + 1, LIMIT])
async def test_a_body_that_has_arrived_needs_no_clock_and_is_the_same(length: int) -> None:
    body, headers = b"a" * length, [(b"content-length", b"%d" % length)]
    for arrived in (True, False):
        with ByteBudget(10 * LIMIT).share() as share:
            given = await read_body(headers, sender(body), limit=LIMIT, timeout=5, share=share, arrived=arrived)
            assert given == body
            assert share.held == max(0, length - FREE)
    with ByteBudget(LIMIT).share() as share, pytest.raises(PayloadTooLarge):
        await read_body(headers, sender(body), limit=length - 1, timeout=5, share=share, arrived=True)
    with ByteBudget(LIMIT).share() as share, pytest.raises(ClientGone):
        await read_body(headers, sender(None), limit=LIMIT, timeout=5, share=share, arrived=True)


async def test_sizes() -> None:
    with pytest.raises(PayloadTooLarge):
        await read(b"a" * LIMIT, b"b")
    with pytest.raises(PayloadTooLarge):
        await read(b"a", headers=[(b"content-length", b"%d" % (LIMIT + 1))])
    for bad in (b"-1", b"1e3", b"", b"9" * 30):
        with pytest.raises(BadRequest):
            await read(b"a", headers=[(b"content-length", bad)])


async def test_a_client_that_is_told_to_wait_sends_nothing() -> None:
    headers = [(b"content-length", b"%d" % (LIMIT + 1)), (b"expect", b"100-continue")]
    with pytest.raises(PayloadTooLarge):
        # Nothing to receive: a call would fail.
        await read(headers=headers)


async def test_slow_and_leaving_clients() -> None:
    with pytest.raises(RequestTimeout):
        await read(b"a", b"b", b"c", seconds=0.05, pause=0.03)
    with pytest.raises(ClientGone):
        await read(b"a", None)
    with pytest.raises(ClientGone):
        await read(b"\x1f", None, headers=GZIP)


@pytest.mark.parametrize("size", [1, 7, 1000, 10**9])
async def test_gzip(size: int) -> None:
    data = json.dumps(list(range(5000))).encode()
    for packed in (gzip.compress(data), gzip.compress(data[:100]) + gzip.compress(b"") + gzip.compress(data[100:])):
        assert await read(*pieces(packed, size), headers=GZIP) == data


DAMAGED = {
    "without its last byte": gzip.compress(b"hello" * 1000)[:-1],
    "cut in the middle": gzip.compress(b"hello" * 1000)[:20],
    "cut in its head": gzip.compress(b"hello")[:5],
    "followed by garbage": gzip.compress(b"hello") + b"garbage",
    "followed by half a head": gzip.compress(b"hello") + b"\x1f",
    "not packed at all": b"hello",
    "zlib": zlib.compress(b"hello"),
    "with a wrong checksum": gzip.compress(b"hello")[:-8] + bytes(8),
}


@pytest.mark.parametrize("packed", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("size", [1, 10**9])
async def test_gzip_that_is_damaged(packed: bytes, size: int) -> None:
    with pytest.raises(BadRequest):
        await read(*pieces(packed, size), headers=GZIP)


async def test_bombs_do_not_go_off() -> None:
    bomb = gzip.compress(bytes(300 * LIMIT))
    with pytest.raises(PayloadTooLarge):
        await read(bomb, headers=GZIP)
    with pytest.raises(PayloadTooLarge):
        await read(gzip.compress(b"a" * (LIMIT + 1)), headers=GZIP)
    assert len(await read(gzip.compress(b"a" * LIMIT), headers=GZIP)) == LIMIT
    with pytest.raises(BadRequest, match="members"):
        await read(*pieces(gzip.compress(b"") * 40_000, 60_000), headers=GZIP)


@hypothesis_settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), flips=st.lists(st.integers(0, 10_000), max_size=3), cut=st.integers(0, 400))
async def test_no_gzip_breaks_the_reader(data: bytes, flips: list[int], cut: int) -> None:
    packed = bytearray(gzip.compress(data))
    for flip in flips:
        packed[flip % len(packed)] ^= 1 << (flip % 8)
    try:
        assert len(await read(bytes(packed[:cut]), headers=GZIP)) <= LIMIT
    except BadRequest:
        assert flips or cut < len(packed)


async def test_unpacking_leaves_turns_for_others() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await read(gzip.compress(bytes(20_000_000)), headers=GZIP, limit=25_000_000)
    task.cancel()
    assert turns > 50


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-encoding", b"br")],
        [(b"content-encoding", b"gzip, gzip")],
    ],
)
async def test_other_encodings(headers: Any) -> None:
    with pytest.raises(UnsupportedMediaType):
        await read(b"a", headers=headers)


async def test_a_header_comes_once() -> None:
    with pytest.raises(BadRequest):
        await read(b"a", headers=[*GZIP, *GZIP])
    assert header([(b"a", b"1"), (b"b", b"2")], b"b") == b"2"
    assert header([], b"b") is None


def test_types() -> None:
    for good in (b"application/json", b"Application/JSON ; Charset=UTF-8", b'application/json;charset="utf-8"'):
        require_json([(b"content-type", good)])
    for bad in (b"", b"text/plain", b"application/jsonx", b"application/json;charset=latin-1", b"application/graphql"):
        with pytest.raises(UnsupportedMediaType):
            require_json([(b"content-type", bad)])
    with pytest.raises(UnsupportedMediaType):
        require_json([])


async def test_a_large_body_waits_its_turn() -> None:
    budget = ByteBudget(1_000_000)
    oldest, second, third, small = (budget.share() for _ in range(4))
    await oldest.take(FREE + 800_000, 1)
    waiting = asyncio.create_task(second.take(FREE + 500_000, 5))
    later = asyncio.create_task(third.take(FREE + 100_000, 5))
    await asyncio.sleep(0.01)
    # Nobody overtakes, small bodies are free, and the oldest may go on whatever it needs.
    assert not waiting.done()
    assert not later.done()
    await small.take(FREE, 1)
    await oldest.take(500_000, 1)
    assert budget.used == 1_300_000
    with oldest:
        pass
    await asyncio.gather(waiting, later)
    assert budget.used == 600_000
    for share in (second, third, small):
        with share:
            pass
    assert budget.used == 0


async def test_who_waits_too_long_is_told_to_come_again() -> None:
    budget = ByteBudget(1000)
    with budget.share() as first:
        await first.take(FREE + 1000, 1)
        with pytest.raises(Unavailable), budget.share() as second:
            await second.take(FREE + 1, 0.05)
    assert budget.used == 0


@hypothesis_settings(max_examples=50, deadline=None)
@given(
    bodies=st.lists(st.lists(st.integers(1, 300_000), min_size=1, max_size=5), min_size=1, max_size=12),
    cancelled=st.sets(st.integers(0, 11)),
)
async def test_the_budget_holds_and_is_given_back(bodies: list[list[int]], cancelled: set[int]) -> None:
    budget = ByteBudget(500_000)
    most = 0

    async def body(chunks: list[int]) -> None:
        nonlocal most
        with budget.share() as share:
            for size in chunks:
                await share.take(size, 5)
                most = max(most, budget.used)
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(body(chunks)) for chunks in bodies]
    await asyncio.sleep(0)
    for number in cancelled & set(range(len(tasks))):
        tasks[number].cancel()
    await asyncio.wait(tasks, timeout=5)
    assert all(task.done() for task in tasks)
    assert budget.used == 0
    assert most <= 500_000 + max(sum(chunks) for chunks in bodies)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


def test_numbers_that_stop_everybody_are_refused() -> None:
    with pytest.raises(BadRequest):
        parse_json(b"[" + b"1e308," * 150_000 + b"1]", max_depth=5)  # seconds of decoding


@given(value=json_values)
def test_json_comes_back_as_it_was(value: Any) -> None:
    read_back = parse_json(json.dumps(value).encode(), max_depth=50)
    assert read_back == value or (isinstance(value, float) and math.isclose(read_back, value))


@hypothesis_settings(max_examples=500)
@given(
    data=st.binary(max_size=60)
    | st.text('[]{}",:0123456789.eE+-\\u truefalsn\ud800', max_size=40).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    )
)
def test_any_bytes_are_json_or_a_bad_request(data: bytes) -> None:
    with suppress(BadRequest):
        msgspec.json.encode(parse_json(data, max_depth=8))


@pytest.mark.parametrize("depth", [0, 1, 5, 900, 40_000])
@pytest.mark.parametrize("kind", [(b"[", b"]", b""), (b'{"a":', b"}", b"1")])
def test_depth_is_exact(depth: int, kind: tuple[bytes, bytes, bytes]) -> None:
    begin, end, leaf = kind
    data = begin * depth + (leaf or b"[]") + end * depth
    levels = depth + (not leaf)
    if levels <= 5:
        parse_json(data, max_depth=5)
    else:
        with pytest.raises(BadRequest, match="more than 5 levels"):
            parse_json(data, max_depth=5)


@pytest.mark.parametrize("text", [b"[1" + b",1" * 60_000 + b"]", b"[" * 100_000, b"[" + b"{}," * 30_000 + b"1]"])
def test_a_text_of_too_many_values_is_not_parsed(text: bytes) -> None:
    with pytest.raises(BadRequest, match="more than 50000 values"):
        parse_json(text, max_depth=200_000)
    assert len(parse_json(b"[1" + b",1" * 40_000 + b"]", max_depth=1)) == 40_001
