"""Counts of a UTC day that all servers share through Redis; while it is away each server counts by itself.

Where plenty is left nobody waits for Redis: it hears in a moment of what was taken.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

from redis.asyncio import Redis

from lakefront.redis_scripts import AHEAD, AWAY_PAUSE, FRESH, MOMENT, RedisScript

_TAKE: Final = """
local used = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1])) + tonumber(ARGV[2])
local taken = 0
if used + tonumber(ARGV[3]) <= tonumber(ARGV[4]) then taken = tonumber(ARGV[3]) end
redis.call('SET', KEYS[1], string.format('%.0f', used + taken), 'EX', 172800)
return {taken, used + taken}
"""
"""Look and take in one step. What the caller saw before is the least that was used, in case Redis lost its memory; what
it counted while Redis was away is added. Two days later the key is gone by itself."""

_MOST_KNOWN: Final = 10_000
"""Counters that a process remembers."""


class Taken(NamedTuple):
    """Whether the amount was taken, and what is used of the day with it."""

    passed: bool
    used: int


class _Known:
    """What Redis said last (``seen``), and what this process took since.

    Of that Redis is yet to hear what is ``owed``, and may have heard what is ``under_way``. What it is being ``asked``
    for comes on top: nothing is taken at once before that is known.
    """

    __slots__ = ("asked", "owed", "seen", "under_way", "until")

    def __init__(self) -> None:
        self.seen = self.owed = self.under_way = self.asked = 0
        self.until = 0.0

    @property
    def used(self) -> int:
        return self.seen + self.owed + self.under_way

    def at_once(self, limit: int, amount: int) -> "Taken | None":
        """What is taken where plenty is left, and known to be; Redis is to be told."""
        ahead = self.owed + self.under_way + amount
        plenty = 2 * (self.used + amount) <= limit and AHEAD * ahead <= limit
        if not amount or self.asked or not plenty or time.monotonic() >= self.until:
            return None
        self.owed += amount
        return Taken(passed=True, used=self.used)

    def ask(self, amount: int) -> int:
        """Redis is about to be asked for ``amount``; what it is to be told."""
        owed, self.owed = self.owed, 0
        self.under_way += owed
        self.asked += amount
        return owed

    def asked_for(self, amount: int, owed: int, *, told: bool) -> None:
        """It answered, or (not ``told``) did not."""
        self.under_way -= owed
        self.asked -= amount
        if not told:
            self.owed += owed
            self.until = 0.0


class DailyCounter:
    """Counters by name; the day belongs into the name. ``redis`` None: only this process counts."""

    def __init__(self, redis: "Redis | None", *, pause: float = AWAY_PAUSE) -> None:
        """``pause``: seconds for which Redis is not asked again after it failed."""
        self._script = RedisScript(redis, _TAKE, what="daily requests", pause=pause)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._untold: set[str] = set()
        self._teller: asyncio.Task[None] | None = None

    async def take(self, name: str, limit: int, *, amount: int = 1) -> Taken:
        """Take ``amount`` of ``name`` unless that would go past ``limit``; what is refused is not counted.

        However many ask at once, one server never lets more than ``limit`` pass. Several may, while Redis answers, pass
        it by what each took before Redis heard of it: a twentieth of it each (``AHEAD``), of a limit below 20 nothing,
        within a second (``FRESH``) after Redis told it that half of the day was left. While Redis is away a server goes
        on from what it knew last: each may let the rest of the day through, and tells Redis when it is back.
        """
        taken = self.take_at_once(name, limit, amount=amount)
        return taken or await self._ask(name, self._remembered(name), limit, amount)

    def take_at_once(self, name: str, limit: int, *, amount: int = 1) -> Taken | None:
        """As ``take`` where plenty is left, and known to be; ``None``, and nothing taken, otherwise."""
        taken = self._remembered(name).at_once(limit, amount)
        if taken is not None:
            self._untold.add(name)
            if self._teller is None:
                self._teller = asyncio.create_task(self._tell_soon())
        return taken

    async def used(self, name: str) -> int:
        """What was taken of ``name``."""
        return (await self.take(name, 0, amount=0)).used

    async def close(self) -> None:
        """Tell Redis what it has not heard yet, as far as it is there."""
        if self._teller is not None:
            self._teller.cancel()
            await asyncio.gather(self._teller, return_exceptions=True)
        await self._tell([name for name, known in self._known.items() if known.owed])

    async def _ask(self, name: str, known: _Known, limit: int, amount: int) -> Taken:
        owed = known.ask(amount)  # nobody else tells it meanwhile
        try:
            answer = await self._script.run([f"lakefront:daily:{name}"], [known.seen, owed, amount, limit])
        except BaseException:
            known.asked_for(amount, owed, told=False)  # perhaps before Redis was told: rather twice than never
            raise
        known.asked_for(amount, owed, told=answer is not None)
        if answer is None:
            passed = known.used + amount <= limit
            known.owed += amount if passed else 0
            return Taken(passed, known.used)
        taken, used = map(int, answer)
        known.seen = max(known.seen, used)
        known.until = time.monotonic() + FRESH
        return Taken(taken == amount, used)

    async def _tell_soon(self) -> None:
        try:
            while self._untold:
                await asyncio.sleep(MOMENT)
                names, self._untold = self._untold, set()
                await self._tell(names)
        finally:
            self._teller = None

    async def _tell(self, names: Iterable[str]) -> None:
        for name in names:
            known = self._known.get(name)
            if known is not None and known.owed:
                await self._ask(name, known, 0, 0)

    def _remembered(self, name: str) -> _Known:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = _Known()
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(name)
        return known
