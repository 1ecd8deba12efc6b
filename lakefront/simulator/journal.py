"""What came in: every call that reached a system, so that quotas can be checked from the other side."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Final

KEPT: Final = 100_000
"""Calls that are remembered one by one; the counts are of all."""


@dataclass(slots=True)
class Call:
    """A request that reached a system. ``status`` is what the client was told, ``None`` where it was told nothing.

    ``done`` tells whether the system did what was asked, whatever the client heard of it. Bodies and query strings are
    not kept: they may hold personal data.
    """

    number: int
    at: datetime
    system: str
    method: str
    path: str
    caller: str
    size: int
    fault: str | None = None
    refused: bool = False
    done: bool = False
    status: int | None = None


@dataclass(slots=True)
class Tally:
    """The calls of one system: how many came, how many went beyond a limit, the most in one second, those by day."""

    received: int = 0
    refused: int = 0
    done: int = 0
    peak_per_second: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    by_fault: Counter[str] = field(default_factory=Counter)
    by_day: Counter[str] = field(default_factory=Counter)

    def told(self) -> dict[str, Any]:
        """The same as plain data."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in self._members()}

    def _members(self) -> Iterator[tuple[str, Any]]:
        for name in self.__slots__:
            yield name, getattr(self, name)


class Journal:
    """All calls, counted by system; the latest of them one by one."""

    def __init__(self) -> None:
        self.calls: deque[Call] = deque(maxlen=KEPT)
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._number = 0
        self._second: defaultdict[str, deque[float]] = defaultdict(deque)

    def arrived(self, at: datetime, system: str, method: str, path: str, caller: str, size: int) -> Call:
        """Note a call that came in; what became of it is written into it, then ``ended``."""
        self._number += 1
        call = Call(self._number, at, system, method, path, caller, size)
        self.calls.append(call)
        tally, second, now = self.tallies[system], self._second[system], monotonic()
        second.append(now)
        while second[0] <= now - 1.0:
            second.popleft()
        tally.received += 1
        tally.by_day[f"{at:%Y-%m-%d}"] += 1
        tally.peak_per_second = max(tally.peak_per_second, len(second))
        return call

    def ended(self, call: Call) -> None:
        """Count what became of a call."""
        tally = self.tallies[call.system]
        tally.refused += call.refused
        tally.done += call.done
        tally.by_status[str(call.status or "none")] += 1
        if call.fault is not None:
            tally.by_fault[call.fault] += 1
