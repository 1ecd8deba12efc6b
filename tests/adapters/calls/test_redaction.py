"""Excerpts show the form of a payload and nothing that somebody wrote."""

import string
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from lakefront.adapters.calls.redaction import LONGEST, excerpt, members

PERSONAL = st.sampled_from(["Jane Doe", "2125551234", "jane@example.org", "123 Broadway", "10007-1234", "+1 212 555"])
NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=12)
PAYLOADS = st.recursive(
    PERSONAL | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | PERSONAL, inner, max_size=5),
    max_leaves=30,
)


@given(PAYLOADS)
def test_nothing_that_people_wrote_shows(payload: Any) -> None:
    for told in (excerpt(payload), excerpt(orjson.dumps(payload, default=str) if _fits(payload) else b"")):
        assert len(told) <= LONGEST
        for secret in ("Jane", "2125551234", "example", "Broadway", "10007", "212 555"):
            assert secret not in told


def _fits(payload: Any) -> bool:
    try:
        orjson.dumps(payload)
    except TypeError:
        return False
    return True


@given(st.binary(max_size=200))
def test_any_bytes_have_an_excerpt(payload: bytes) -> None:
    assert len(excerpt(payload)) <= LONGEST


def test_codes_show_where_the_adapter_says_so() -> None:
    payload = {"code": "InvalidZip", "status": 400, "message": "Jane Doe", "phone": "2125551234"}
    assert excerpt(payload, {"code", "status", "phone"}) == (
        "{code: InvalidZip, status: 400, message: text(8), phone: text(10)}"
    )


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"<html>Jane</html>", "17 bytes, no JSON"),
        (b'[{"a": 1}, {"a": 2}]', "2 of [{a: number}]"),
        (b'{"jane@example.org": true, "list": []}', "{name(16): true, list: []}"),
        (b'{"a": {"a": {"a": {"a": {"a": 1}}}}}', "{a: {a: {a: {a: {…}}}}}"),
    ],
)
def test_the_form_of_it(payload: bytes, told: str) -> None:
    assert excerpt(payload) == told


def test_depth_is_no_trouble() -> None:
    assert excerpt(b"[" * 1000 + b"]" * 1000).startswith("1 of [")


def test_pydantic_tells_members_and_no_values() -> None:
    class Form(BaseModel):
        age: int
        tags: dict[str, int]

    with pytest.raises(ValidationError) as wrong:
        Form.model_validate({"age": "Jane", "tags": {"jane@example.org": "x", "well": "Broadway"}})
    told = members(wrong.value)
    assert told == "age: int_parsing, tags.…: int_parsing, tags.well: int_parsing"
