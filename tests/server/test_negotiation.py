"""Which media type an answer gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.server.negotiation import MAX_RANGES, names, negotiate

JSON = "application/json"
OTHER = "application/other+json"
EVENTS = "text/event-stream"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        (" ", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("*/json", None),
        ("*", None),
        (OTHER, OTHER),
        (OTHER.upper(), OTHER),
        (f"{OTHER} ; q=1", OTHER),
        (f"{OTHER};charset=utf-8", OTHER),
        (f"{JSON};q=0.9, {OTHER}", OTHER),
        (f"{JSON};q=0.9, {OTHER};q=0.8", JSON),
        (f"{OTHER}, {JSON}", JSON),
        (f"{OTHER}, */*", OTHER),
        (f"{OTHER};q=0.5, */*", JSON),
        (f"{JSON};q=0, */*", OTHER),
        (f"{JSON};q=0, application/*;q=0.1", OTHER),
        (f"*/*;q=0, {OTHER};q=0.001", OTHER),
        ("*/*;q=0", None),
        (f"{JSON};q=high", None),
        (f"{JSON};q=nan", None),
        (f"{JSON};q=-1", None),
        (f"{JSON};Q=0.5, {OTHER};Q=0.6", OTHER),
        (f"{JSON};q=0.5;v=1, {OTHER};v=1;q=0.6", OTHER),
        (f",, ,{OTHER},", OTHER),
        (EVENTS, None),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", JSON),
    ],
)
def test_the_best_of_what_is_offered(accept: str | None, chosen: str | None) -> None:
    assert negotiate(accept, (JSON, OTHER)) == chosen


@pytest.mark.parametrize(
    ("accept", "named"),
    [
        (EVENTS, True),
        (f"{JSON}, Text/Event-Stream;q=0.1", True),
        (f"{EVENTS};q=0", False),
        ("text/*, */*", False),
        (None, False),
        ("", False),
        (f"{EVENTS}s", False),
    ],
)
def test_what_is_named_in_full(accept: str | None, named: bool) -> None:
    assert names(accept, EVENTS) is named


def test_an_endless_header_is_not_read_to_its_end() -> None:
    assert negotiate(f"{'text/x,' * MAX_RANGES}{JSON}", (JSON,)) is None


@given(accept=st.text(alphabet="aj*/;,q=.01 -n", max_size=60) | st.text(max_size=60))
def test_no_header_breaks_it(accept: str) -> None:
    assert negotiate(accept, (JSON, OTHER)) in {JSON, OTHER, None}
    assert names(accept, EVENTS) in {True, False}
