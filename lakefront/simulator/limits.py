"""Limits that outside systems keep: so many requests a second, a day, by each key."""

import re
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final, NamedTuple

from lakefront.errors import ValidationError
from lakefront.simulator.clock import Clock

SECONDS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
"""Windows that slide, in real time: whoever is told to wait can do so."""

CALENDAR: Final = ("day", "month")
"""Windows that begin anew at UTC midnight, by the city's clock."""

_RATE: Final = re.compile(r"([0-9]+)/(second|minute|hour|day|month)")


class Rate(NamedTuple):
    """So many ``calls`` in each ``per``."""

    calls: int
    per: str

    def __str__(self) -> str:
        return f"{self.calls}/{self.per}"


class Exceeded(NamedTuple):
    """The limit that a request would exceed, and the seconds until it would not."""

    rate: Rate
    wait: float


@dataclass(slots=True)
class _Count:
    period: str
    calls: int


def parse(text: str) -> tuple[Rate, ...]:
    """Read ``10/second,100000/day``; empty is without limit. Raises ``ValidationError`` with what to correct."""
    rates = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        matched = _RATE.fullmatch(item)
        if matched is None:
            raise ValidationError(f"'{item}' is no limit. Write a number, '/', and second, minute, hour, day or month.")
        rates.append(Rate(int(matched[1]), matched[2]))
    return tuple(rates)


class Limits:
    """Which rates hold under which name (a system's, or a part's: ``mapbox/tiles``), and what was used of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rates: dict[str, tuple[Rate, ...]] = {}
        self._sliding: defaultdict[tuple[str, str, Rate], deque[float]] = defaultdict(deque)
        self._counted: dict[tuple[str, str, Rate], _Count] = {}
        self._paid: dict[tuple[str, str], float] = {}

    def set(self, rates: Mapping[str, str]) -> None:
        """Take these limits for these names; raises ``ValidationError`` with what to correct."""
        self._rates.update({name: parse(text) for name, text in rates.items()})

    def told(self) -> dict[str, str]:
        """The limits in force, as they are written."""
        return {name: ",".join(map(str, rates)) for name, rates in self._rates.items()}

    def take(self, name: str, caller: str, calls: int = 1) -> Exceeded | None:
        """Count so many calls of ``caller``, or tell the limit that they would exceed: then nothing is counted."""
        rates = self._rates.get(name, ())
        now, at = monotonic(), self._clock.now()
        for rate in rates:
            if (wait := self._wait(name, caller, rate, calls, now, at)) > 0:
                return Exceeded(rate, wait)
        for rate in rates:
            if rate.per in SECONDS:
                self._sliding[name, caller, rate].extend([now] * calls)
            else:
                self._counted[name, caller, rate].calls += calls
        return None

    def owe(self, name: str, caller: str, units: int) -> Exceeded | None:
        """Count ``units`` that were not known before (rows): they are served, and the next call waits them off."""
        rate = next(iter(self._rates.get(name, ())), None)
        if rate is None:
            return None
        now, paid = monotonic(), self._paid.get((name, caller), 0.0)
        if units == 0:
            return Exceeded(rate, paid - now) if paid > now else None
        length = SECONDS.get(rate.per, 86_400.0)
        self._paid[name, caller] = max(paid, now) + units * length / max(rate.calls, 1)
        return None

    def _wait(self, name: str, caller: str, rate: Rate, calls: int, now: float, at: datetime) -> float:
        key = (name, caller, rate)
        if rate.per in SECONDS:
            times, length = self._sliding[key], SECONDS[rate.per]
            while times and times[0] <= now - length:
                times.popleft()
            excess = len(times) + calls - rate.calls
            return times[min(excess, len(times)) - 1] + length - now if excess > 0 and times else length * (excess > 0)
        period = at.strftime("%Y-%m-%d" if rate.per == "day" else "%Y-%m")
        count = self._counted.get(key)
        if count is None or count.period != period:
            count = self._counted[key] = _Count(period, 0)
        return (_next(rate.per, at) - at).total_seconds() if count.calls + calls > rate.calls else 0.0


def _next(per: str, at: datetime) -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "day":
        return midnight + timedelta(days=1)
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
