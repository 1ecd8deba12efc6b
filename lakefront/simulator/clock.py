"""The city's clock: it can be moved on and made faster, so that a day of tickets takes a second of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from time import monotonic

_skew: ContextVar[float] = ContextVar("skew", default=0.0)


class Clock:
    """Tells the city's time: from ``start`` (now, when left out) on, ``speed`` seconds of it in each real one."""

    def __init__(self, start: datetime | None = None, *, speed: float = 1.0) -> None:
        self._told = start or datetime.now(UTC)
        self._at = monotonic()
        self._speed = speed

    @property
    def speed(self) -> float:
        """Seconds of the city in a real second; 0 stands still."""
        return self._speed

    def now(self) -> datetime:
        """The time, in UTC; wrong by as much as the clock of the answering system is, where a fault says so."""
        return self.true() + timedelta(seconds=_skew.get())

    def advance(self, seconds: float) -> None:
        """Move the clock; backwards where ``seconds`` are negative."""
        self._told += timedelta(seconds=seconds)

    def run_at(self, speed: float) -> None:
        """Go on at another speed from now on."""
        self._told, self._at, self._speed = self.true(), monotonic(), speed

    @contextmanager
    def skewed(self, seconds: float) -> Iterator[None]:
        """Be wrong by ``seconds``, for this request alone."""
        token = _skew.set(seconds)
        try:
            yield
        finally:
            _skew.reset(token)

    def true(self) -> datetime:
        """The time as it is, whatever a fault says."""
        return self._told + timedelta(seconds=(monotonic() - self._at) * self._speed)


def iso(at: datetime) -> str:
    """``2026-05-28T14:03:00Z``, as most of the systems write it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
