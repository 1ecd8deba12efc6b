"""Counts of a UTC day that all servers share through Redis, exactly; while it is away each server counts by itself."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

from redis.asyncio import Redis

from lakefront.domain.redis_scripts import AWAY_PAUSE, RedisScript

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


@dataclass(slots=True)
class _Known:
    """What Redis said last, and what this process took since without it."""

    seen: int = 0
    owed: int = 0


class DailyCounter:
    """Counters by name; the day belongs into the name. ``redis`` None: only this process counts."""

    def __init__(self, redis: "Redis | None", *, pause: float = AWAY_PAUSE) -> None:
        """``pause``: seconds for which Redis is not asked again after it failed."""
        self._script = RedisScript(redis, _TAKE, what="daily requests", pause=pause)
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def take(self, name: str, limit: int, *, amount: int = 1) -> Taken:
        """Take ``amount`` of ``name`` unless that would go past ``limit``; what is refused is not counted.

        However many ask at once, by however many servers, never more than ``limit`` pass while Redis answers. While it
        is away a server goes on from what it knew last: each may let the rest of the day through, and tells Redis when
        it is back.
        """
        known = self._remembered(name)
        owed, known.owed = known.owed, 0  # nobody else tells it meanwhile
        try:
            answer = await self._script.run([f"lakefront:daily:{name}"], [known.seen, owed, amount, limit])
        except BaseException:
            known.owed += owed  # whoever asked is gone, perhaps before Redis was told: rather twice than never
            raise
        if answer is None:
            known.owed += owed
            used = known.seen + known.owed
            passed = used + amount <= limit
            known.owed += amount if passed else 0
            return Taken(passed, used + amount if passed else used)
        taken, used = map(int, answer)
        known.seen = max(known.seen, used)
        return Taken(taken == amount, used)

    async def used(self, name: str) -> int:
        """What was taken of ``name``."""
        return (await self.take(name, 0, amount=0)).used

    def _remembered(self, name: str) -> _Known:
        known = self._known.pop(name, None) or _Known()
        self._known[name] = known
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return known
