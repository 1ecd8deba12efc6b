"""Cursors: what is encoded is decoded, and nothing else is."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.errors import ValidationError
from lakefront.eventlog.cursors import LAYOUT, MAX_LENGTH, MAX_SHARDS, decode, encode

offsets = st.dictionaries(st.integers(0, MAX_SHARDS - 1), st.integers(0, 2**63 - 1), max_size=MAX_SHARDS)


@given(stream=st.text(max_size=50), layout=st.integers(1, 2**15 - 1), place=offsets)
def test_round_trip(stream: str, layout: int, place: dict[int, int]) -> None:
    text = encode(stream, layout, place)
    assert decode(stream, text) == (layout, place)
    assert text.isascii()
    assert len(text) <= MAX_LENGTH
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(place=offsets)
def test_one_place_has_one_text(place: dict[int, int]) -> None:
    assert encode("s", LAYOUT, place) == encode("s", LAYOUT, dict(reversed(place.items())))


@given(text=st.text() | st.binary().map(lambda data: urlsafe_b64encode(data).decode()))
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="not a cursor"):
        decode("s", text)


@pytest.mark.parametrize(
    "inside",
    [
        b'["s",1,[[0,-1]]]',
        b'["s",1,[[0,9223372036854775808]]]',
        b'["s",1,[[64,0]]]',
        b'["s",1,[[-1,0]]]',
        b'["s",1,[[0,1.5]]]',
        b'["s",1,[[0,true]]]',
        b'["s",0,[]]',
        b'["s",1,[[0,1],[0,2]]]',
        b'["s",1,[[1,0],[0,0]]]',
        b'["s",1,[], 1]',
        b'["s", 1, []]',
        b"[" * 2000,
    ],
)
def test_what_the_server_never_made_is_refused(inside: bytes) -> None:
    with pytest.raises(ValidationError, match="not a cursor"):
        decode("s", urlsafe_b64encode(inside).rstrip(b"=").decode())


def test_padding_and_length_are_refused() -> None:
    text = encode("s", LAYOUT, {0: 7})
    for other in (text + "=", text + "\n", text[:-1], "A" * (MAX_LENGTH + 1), ""):
        with pytest.raises(ValidationError):
            decode("s", other)


def test_a_foreign_stream_is_named() -> None:
    with pytest.raises(ValidationError, match="another stream"):
        decode("mine", encode("theirs", LAYOUT, {}))
