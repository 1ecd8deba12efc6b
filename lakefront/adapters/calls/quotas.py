"""What providers allow, held by all servers together: requests a UTC day, and a rate (C8, C11).

Of a day's quota a server takes a part in advance, of a ledger that all share, and counts that down without asking: so
no quota is exceeded, whatever is lost. A rate is held by slots in Redis: each request is told once when it may go, so
that in no second (minute, …) more go than may, in the order in which they came.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple, Protocol

from limits import parse
from redis.asyncio import Redis

from lakefront.adapters.endpoint import Key
from lakefront.errors import Unavailable
from lakefront.redis_scripts import AWAY_PAUSE, RedisScript

ADVANCE: Final = 20
"""One in so many of what is left a server takes in advance, and ``MOST_ADVANCE`` at most. A crash loses it."""

MOST_ADVANCE: Final = 1000

SHARE: Final = 4
"""One in so many of a rate has a server while Redis is away: up to four stay within it without a word to each other."""

SLACK: Final = 0.05
"""Part of a rate's time that is added to it, as requests that left in time may arrive closer together."""

_SLOT: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local amount, period, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local before = redis.call('LINDEX', KEYS[1], amount - 1)
local slot = math.max(now, before and (tonumber(before) + period) or now)
local wait = slot - now
if wait <= patience then
    redis.call('LPUSH', KEYS[1], string.format('%.6f', slot))
    redis.call('LTRIM', KEYS[1], 0, amount - 1)
    redis.call('PEXPIRE', KEYS[1], math.ceil((wait + period) * 1000) + 1000)
end
return string.format('%.6f', wait)
"""
"""Take the next slot, unless it is further away than the caller's patience: it is one ``period`` after the slot of the
request that was ``amount`` before."""


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
    """What is left of a day's quota, as far as this server knows."""

    remaining: int
    limit: int


class Taken(NamedTuple):
    """What a ledger granted, and what is used of the day by all, this included."""

    granted: int
    used: int


class Ledger(Protocol):
    """What all servers took of days. It forgets nothing while the day lasts."""

    async def take(self, meter: Meter, day: date, *, limit: int, wanted: int, back: int = 0) -> Taken:
        """Give ``back`` what was not used, then take an ``advance``; all of it or nothing.

        Raises ``Unavailable``: what was granted then, if anything was, nobody uses.
        """
        ...


class OwnLedger:
    """Of this process alone, which has all of the day for itself."""

    def __init__(self) -> None:
        self._used: dict[Meter, tuple[date, int]] = {}

    async def take(self, meter: Meter, day: date, *, limit: int, wanted: int, back: int = 0) -> Taken:
        """See ``Ledger``."""
        known, used = self._used.get(meter, (day, 0))
        used = max(0, used - back) if known == day else 0
        granted = advance(limit - used, wanted)
        self._used[meter] = (day, used + granted)
        return Taken(granted, used + granted)


def advance(left: int, wanted: int) -> int:
    """How much of what is ``left`` a server gets that wants at least so much; 0 where there is not so much."""
    return max(wanted, min(left // ADVANCE, MOST_ADVANCE)) if 0 < wanted <= left else 0


@dataclass(slots=True)
class _Day:
    """What this server knows of a meter's day."""

    date: date
    limit: int = 0
    used: int = 0
    """By all servers, as the ledger said last; with what is taken in advance."""
    advance: int = 0
    back: int = 0
    """What was taken in advance of a larger quota, to be given back when the ledger is asked next."""
    heard: bool = False
    """Whether the ledger has said anything."""
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class ProviderQuotas:
    """Quotas and rates. ``redis`` None: rates are counted by this process alone, which may use all of them."""

    def __init__(
        self,
        redis: "Redis | None",
        ledger: Ledger | None = None,
        *,
        pause: float = AWAY_PAUSE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``ledger`` None: so are days. ``pause``: seconds for which Redis is not asked again after it failed."""
        self._ledger = ledger or OwnLedger()
        self._slot = RedisScript(redis, _SLOT, what="rates of outside systems", pause=pause)
        self._share = 1 if redis is None else SHARE
        self._now = now
        self._days: dict[Meter, _Day] = {}
        self._slots: dict[Meter, deque[float]] = {}

    async def take(self, meter: Meter, *, daily: int | None, rate: Rate | None, patience: float, cost: int = 1) -> None:
        """Return when one request may go, within ``patience`` seconds; raises ``Spent`` where it may not.

        Raises ``Unavailable`` where the ledger is away and nothing is left of what was taken in advance. ``cost``
        is what it takes of the day: of the rate it is one, whatever is in it.
        """
        if daily is not None:
            await self._take_of(self._day(meter, daily), meter, cost)
        else:
            self._days.pop(meter, None)  # it had one once
        if rate is None:
            return
        try:
            await self._turn(meter, rate, patience)
        except BaseException:  # also who is cancelled before its turn sends nothing
            self.give_back(meter, cost)
            raise

    def give_back(self, meter: Meter, cost: int) -> None:
        """What was taken of the day was not sent."""
        day = self._days.get(meter)
        if day is not None and day.date == self._date():
            day.advance += cost

    def left(self) -> Iterator[tuple[Meter, Left]]:
        """What is left of the day, of all that has a quota and was asked for today."""
        today = self._date()
        for meter, day in self._days.items():
            if day.date == today:
                yield meter, Left(max(0, day.limit - day.used + day.advance), day.limit)

    async def close(self) -> None:
        """Give back what was taken in advance, as far as the ledger is there."""
        for meter, day in self._days.items():
            if back := day.advance + day.back:
                day.advance = day.back = 0
                with suppress(Unavailable):
                    await self._ledger.take(meter, day.date, limit=day.limit, wanted=0, back=back)

    async def _take_of(self, day: _Day, meter: Meter, cost: int) -> None:
        # One asks for all who wait: each would take an advance, and use one of it.
        while day.advance < cost:
            async with day.asking:
                wanted = cost - day.advance
                if wanted <= 0:
                    break
                if not day.heard or day.used + wanted <= day.limit:
                    back, day.back = day.back, 0
                    granted, day.used = await self._ledger.take(
                        meter, day.date, limit=day.limit, wanted=wanted, back=back
                    )
                    day.heard = True
                    day.advance += granted
                    if granted:
                        continue
                raise Spent(self._until_tomorrow(), day=True)
        day.advance -= cost

    async def _turn(self, meter: Meter, rate: Rate, patience: float) -> None:
        wait = await self._wait(meter, rate, patience)
        if wait > patience:
            raise Spent(wait, day=False)
        await asyncio.sleep(wait)

    async def _wait(self, meter: Meter, rate: Rate, patience: float) -> float:
        """Seconds until the slot that was taken; where they are more than ``patience``, none was."""
        period = rate.period * (1 + SLACK)
        told = await self._slot.run([f"{meter.name}:slots"], [rate.amount, period, patience])
        slots = self._slots.setdefault(meter, deque(maxlen=rate.amount))
        wait = float(told) if told is not None else self._wait_here(slots, rate.amount, period)
        if wait <= patience:
            slots.append(time.monotonic() + wait)
        return wait

    def _wait_here(self, slots: deque[float], amount: int, period: float) -> float:
        """As ``_wait``, by the ``slots`` of this process: its share of the amount in each period.

        So no window has more than the rate, however many at once begin to hear nothing of each other. Of an amount that
        is too small to be shared, each sends one in so much longer a period.
        """
        share = max(1, amount // self._share)
        period *= max(1.0, share * self._share / amount)
        return max(0.0, slots[-share] + period - time.monotonic()) if len(slots) >= share else 0.0

    def _day(self, meter: Meter, limit: int) -> _Day:
        today = self._date()
        day = self._days.get(meter)
        if day is None or day.date != today:
            day = self._days[meter] = _Day(today)
        if limit < day.limit:
            day.back, day.advance, day.heard = day.back + day.advance, 0, False
        day.limit = limit
        return day

    def _date(self) -> date:
        return self._now().date()

    def _until_tomorrow(self) -> float:
        now = self._now()
        tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return (tomorrow - now).total_seconds()
