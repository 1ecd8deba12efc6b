"""Pauses grow within their bounds; what a provider asks for is understood, whatever its clock says."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.adapters.calls.backoff import LONGEST, next_pause, retry_after


@given(st.lists(st.none(), min_size=1, max_size=30))
def test_pauses_are_within_their_bounds(turns: list[None]) -> None:
    pause = 0.0
    for _ in turns:
        before, pause = pause, next_pause(pause, first=0.1, longest=5.0)
        assert 0.1 <= pause <= min(5.0, max(0.1, before) * 3)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("-1", None), ("soon", None), ("1.5", None), ("", None), ("٣", None)],
)
def test_seconds(asked: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": asked}) == seconds


def test_no_one_waits_for_ever() -> None:
    assert retry_after({"retry-after": "9" * 400}) == LONGEST


@pytest.mark.parametrize("skew", [-86_400, -60, 0, 60, 86_400])
def test_a_date_is_taken_against_the_providers_own_clock(skew: int) -> None:
    there = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=skew)
    headers = {"date": format_datetime(there, usegmt=True)}
    headers["retry-after"] = format_datetime(there + timedelta(seconds=30), usegmt=True)
    assert retry_after(headers) == 30.0
    headers["retry-after"] = format_datetime(there - timedelta(seconds=30), usegmt=True)
    assert retry_after(headers) == 0.0


@given(st.text(), st.text())
def test_nonsense_is_nothing_clear(asked: str, date: str) -> None:
    found = retry_after({"retry-after": asked, "date": date})
    assert found is None or 0 <= found <= LONGEST
