"""Bodies within bounds: what is whole comes out as it was, what is too much is refused before it is held."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.adapters.calls.reading import Unreadable, bounded, fits, media_type, parsed


async def _chunks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@given(st.binary(max_size=2000), st.integers(1, 500), st.sampled_from(["", "identity", "gzip", " GZIP "]))
async def test_what_is_whole_comes_out_as_it_was(body: bytes, size: int, encoding: str) -> None:
    sent = gzip.compress(body) if "gzip" in encoding.lower() else body
    assert await bounded(_chunks(sent, size), most=2000, encoding=encoding, length=None) == body


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_one_byte_too_many(encoding: str) -> None:
    body = gzip.compress(b"x" * 101) if encoding else b"x" * 101
    with pytest.raises(Unreadable, match="more than 100 bytes"):
        await bounded(_chunks(body, 7), most=100, encoding=encoding, length=None)


async def test_a_length_that_says_too_much_is_enough() -> None:
    with pytest.raises(Unreadable, match="more than"):
        await bounded(_chunks(b"", 1), most=100, encoding="", length="101")


async def test_a_bomb_is_not_unpacked() -> None:
    bomb = zlib.compressobj(wbits=31)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(256)) + bomb.flush()
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="more than"):
            await bounded(_chunks(packed, 65_536), most=1 << 20, encoding="gzip", length=None)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "encoding", "told"),
    [
        (b"hello", "gzip", "no gzip"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-12], "gzip", "breaks off"),
        (b"hello", "br", "not asked for"),
        (b"hello", "gzip, gzip", "not asked for"),
    ],
)
async def test_what_is_packed_otherwise(body: bytes, encoding: str, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        await bounded(_chunks(body, 4), most=10_000, encoding=encoding, length=None)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nul", b"\xff", b"NaN", b'"\\ud800"', b"<html>", b"[" * 100_000, b"[" * 2000 + b"]" * 2000]
)
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parsed(body)


def test_media_types() -> None:
    assert media_type("Application/JSON; charset=utf-8") == "application/json"
    assert fits("application/json", ("application/json",))
    assert fits("application/geo+json", ("application/json",))
    assert fits("image/png", ("image/*",))
    assert not fits("text/html", ("application/json", "image/*"))
    assert not fits("", ("application/json",))
