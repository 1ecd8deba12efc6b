"""What providers allow, held by all servers together through Redis: requests a UTC day, and a rate (C8, C11).

A rate is held by slots: the script tells each request when it may go, so that within any second (minute, …) no more
than allowed go, in the order in which they came, and each waits just once. Of a day's quota a process takes a few
requests in advance where the provider has no rate, and does not ask for each.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple

from limits import parse
from redis.asyncio import Redis

from lakefront.adapters.endpoint import Key
from lakefront.redis_scripts import AWAY_PAUSE, RedisScript

ADVANCE: Final = 1000
"""One in so many of a quota a process takes in advance, ``MOST_ADVANCE`` at most. It loses them when it ends."""

MOST_ADVANCE: Final = 50

SHARE: Final = 4
"""While Redis is away a process lets in one in so many of what it knew to be left, and of the rate. So up to four
servers stay within both without a word to each other."""

SLACK: Final = 0.02
"""Part of a rate's time that is added to it, as requests that left in time may arrive closer together."""

_SCRIPT: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local known, owed, wanted, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local amount, period, patience = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local used, granted, wait = 0, wanted, 0
if limit >= 0 then
    used = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), known) + owed
    granted = math.max(0, math.min(wanted, limit - used))
end
if amount > 0 and granted > 0 then
    local before = redis.call('LINDEX', KEYS[2], amount - 1)
    local slot = math.max(now, before and (tonumber(before) + period) or now)
    wait = slot - now
    if wait > patience then
        granted = 0
    else
        redis.call('LPUSH', KEYS[2], string.format('%.6f', slot))
        redis.call('LTRIM', KEYS[2], 0, amount - 1)
        redis.call('PEXPIRE', KEYS[2], math.ceil((wait + period) * 1000) + 1000)
    end
end
if limit >= 0 then
    used = used + granted
    if granted + owed > 0 then redis.call('SET', KEYS[1], string.format('%.0f', used), 'EX', 172800) end
end
return {granted, string.format('%.0f', used), string.format('%.6f', wait)}
"""
"""Day and rate in one step. What the process saw used before is the least that is, in case Redis lost its memory; what
it let in while Redis was away is added. Two days later the day's key is gone by itself."""


class Spent(Exception):
    """It may not go now; ``wait`` seconds later it may. ``day``: as the day is used up, else as the rate is."""

    def __init__(self, wait: float, *, day: bool) -> None:
        self.wait = wait
        self.day = day
        super().__init__(f"{'the day' if day else 'the rate'} allows no more for {wait:.1f} s")


class Rate(NamedTuple):
    """``amount`` requests in ``period`` seconds."""

    amount: int
    period: float

    @classmethod
    @cache
    def of(cls, text: str) -> "Rate":
        """The rate that ``10/second`` says."""
        item = parse(text)
        return cls(item.amount, float(item.get_expiry()))


class Meter(NamedTuple):
    """What is counted apart: an integration, and in it each of its keys that has a quota of its own."""

    key: Key
    lane: str = ""

    @property
    def name(self) -> str:
        """As Redis knows it; the braces keep its keys on one node of a cluster."""
        return f"lakefront:adapters:{{{'|'.join((*self.key, self.lane))}}}"


class Left(NamedTuple):
    """What is left of a day's quota, as far as this process knows."""

    remaining: int
    limit: int


@dataclass(slots=True)
class _Day:
    """What this process knows of a meter's day."""

    date: str
    limit: int
    seen: int = 0
    """Used by all servers, as Redis said last; this process's advance is in it."""
    advance: int = 0
    owed: int = 0
    """Let in here while Redis was away."""
    alone: int | None = None
    """What this process may still let in while Redis is away; None while it is there."""


@dataclass(slots=True)
class _Known:
    day: _Day
    slots: deque[float] = field(default_factory=deque)


class ProviderQuotas:
    """Quotas and rates; ``redis`` None: only this process counts, and may use all of it."""

    def __init__(
        self,
        redis: "Redis | None",
        *,
        pause: float = AWAY_PAUSE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``pause``: seconds for which Redis is not asked again after it failed."""
        self._script = RedisScript(redis, _SCRIPT, what="quotas of outside systems", pause=pause)
        self._share = 1 if redis is None else SHARE
        self._now = now
        self._meters: dict[Meter, _Known] = {}

    async def take(self, meter: Meter, *, daily: int | None, rate: Rate | None, patience: float) -> None:
        """Return when one request may go, within ``patience`` seconds; raises ``Spent`` where it may not."""
        if daily is None and rate is None:
            return
        known = self._known(meter, -1 if daily is None else daily)
        day = known.day
        if rate is None and day.advance > 0:
            day.advance -= 1
            return
        if 0 <= day.limit <= day.seen + day.owed:
            raise Spent(self._until_tomorrow(), day=True)
        wait = await self._ask(meter, known, rate, patience)
        if wait > 0:
            await asyncio.sleep(wait)

    def left(self) -> Iterator[tuple[Meter, Left]]:
        """What is left of the day, of all that has a quota and was asked for today."""
        date = self._date()
        for meter, known in self._meters.items():
            day = known.day
            if day.limit >= 0 and day.date == date:
                yield meter, Left(max(0, day.limit - day.seen - day.owed + day.advance), day.limit)

    async def _ask(self, meter: Meter, known: _Known, rate: Rate | None, patience: float) -> float:
        """Seconds to wait before it may go."""
        day = known.day
        wanted = 1 if rate is not None else max(1, min(MOST_ADVANCE, day.limit // ADVANCE))
        owed, day.owed = day.owed, 0
        amount, period = (0, 0.0) if rate is None else (rate.amount, rate.period * (1 + SLACK))
        answer = None
        try:
            answer = await self._script.run(
                [f"{meter.name}:{day.date}", f"{meter.name}:slots"],
                [day.seen, owed, wanted, day.limit, amount, period, patience],
            )
        finally:
            if answer is None:
                day.owed += owed
        if answer is None:
            return self._alone(known, rate, patience)
        granted, used, wait = int(answer[0]), int(answer[1]), float(answer[2])
        day.seen, day.alone = max(day.seen, used), None
        known.slots.clear()
        if granted == 0:
            spent = 0 <= day.limit <= used
            raise Spent(self._until_tomorrow() if spent else wait, day=spent)
        day.advance += granted - 1
        return wait

    def _alone(self, known: _Known, rate: Rate | None, patience: float) -> float:
        """As ``_ask``, by what this process knows."""
        day = known.day
        if day.limit >= 0:
            if day.alone is None:
                left = day.limit - day.seen - day.owed
                day.alone = math.ceil(left / self._share) if self._share == 1 else left // self._share
            if day.alone <= 0:
                raise Spent(AWAY_PAUSE if self._share > 1 else self._until_tomorrow(), day=True)
        wait = self._slot(known.slots, rate, patience) if rate is not None else 0.0
        if day.limit >= 0 and day.alone is not None:
            day.alone -= 1
            day.owed += 1
        return wait

    def _slot(self, slots: deque[float], rate: Rate, patience: float) -> float:
        now = time.monotonic()
        period = rate.period * (1 + SLACK) * self._share
        slot = max(now, slots[0] + period) if len(slots) >= rate.amount else now
        if slot - now > patience:
            raise Spent(slot - now, day=False)
        slots.append(slot)
        while len(slots) > rate.amount:
            slots.popleft()
        return slot - now

    def _known(self, meter: Meter, limit: int) -> _Known:
        date = self._date()
        known = self._meters.get(meter)
        if known is None:
            known = self._meters[meter] = _Known(_Day(date, limit))
        elif known.day.date != date:
            known.day = _Day(date, limit)
        known.day.limit = limit
        return known

    def _date(self) -> str:
        return self._now().date().isoformat()

    def _until_tomorrow(self) -> float:
        now = self._now()
        tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return (tomorrow - now).total_seconds()
