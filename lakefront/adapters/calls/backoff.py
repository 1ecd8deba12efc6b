"""How long to wait before the next try: decorrelated jitter (C1), or what the provider asks for."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

FACTOR: Final = 3.0

LONGEST: Final = 86_400.0
"""Seconds that are believed of a Retry-After."""


def next_pause(last: float, *, first: float, longest: float) -> float:
    """Seconds until the next try, ``last`` being those before the last one (0: there was none).

    Random between ``first`` and three times the last pause, so that those who failed together do not come together
    again, and each time further apart (M. Brooker, "Exponential Backoff And Jitter", AWS 2015).
    """
    return min(longest, random.uniform(first, max(first, last) * FACTOR))  # noqa: S311 - no secret


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the answer with ``headers`` asks to wait (RFC 9110, 10.2.3); None where it asks for nothing clear.

    A date is taken against the answer's own, so that it does not matter whose clock is wrong.
    """
    asked = headers.get("retry-after", "").strip()
    if not asked:
        return None
    if asked.isascii() and asked.isdecimal():
        return min(float(asked[:9]), LONGEST)
    until = _time(asked)
    if until is None:
        return None
    now = _time(headers.get("date", "")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST)


def _time(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
