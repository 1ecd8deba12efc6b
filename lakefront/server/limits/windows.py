"""Counting: in Redis, in this process while Redis is away, and not at all for whoever has been told to wait.

Where a large limit has plenty of room nobody waits for Redis: it is told in a moment, of all that was let in since.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from redis.asyncio import Redis

from lakefront.server.limits.local import LocalBuckets, LocalWindows
from lakefront.server.limits.policies import Policy
from lakefront.server.limits.shared import PATIENCE, RedisAway, SharedWindows, Taken

AWAY_PAUSE: Final = 1.0
"""Seconds for which Redis is not asked again after it failed, so that not every request waits for it in vain."""

MOST_FULL: Final = 10_000
"""Windows that are known to be full."""

LEAST: Final = 1000
"""Limits of less are counted one by one: a moment's requests may be a large part of them."""

PLENTY: Final = 0.5
"""What part of a limit must be left for somebody to be let in before Redis was told."""

MOMENT: Final = 0.02
"""Seconds until Redis is told what was let in."""

FRESH: Final = 1.0
"""Seconds for which Redis' last answer says whether there is plenty of room."""

MOST_ROOMS: Final = 10_000
"""Windows that are known to have plenty of room."""

_log = logging.getLogger("lakefront.server.limits")


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands with a policy after an attempt.

    ``remaining`` are left; more will be in ``reset`` seconds. ``wait`` are the seconds until a refused attempt may be
    made again, ``None`` for one that was let in.
    """

    policy: Policy
    remaining: int
    reset: float
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class _Full:
    """What is known without asking: nobody gets ``least`` or more before ``until`` (of this process' clock)."""

    until: float
    least: int
    standing: Standing


@dataclass(slots=True)
class _Room:
    """What Redis said last of a window, less what was let in since; holds until ``until``.

    Of that, Redis is yet to hear the ``untold``, and may have heard what is ``under_way``.
    """

    policy: Policy
    key: str
    remaining: int = 0
    reset: float = 0.0
    until: float = 0.0
    untold: int = 0
    under_way: int = 0


class Windows:
    """Takes amounts from the windows and buckets of whoever asks; without ``redis`` only this process counts."""

    def __init__(self, redis: "Redis | None", patience: float = PATIENCE) -> None:
        """``patience``: seconds that requests wait for Redis."""
        self._shared = SharedWindows(redis, patience) if redis is not None else None
        self._local: dict[bool, LocalWindows | LocalBuckets] = {False: LocalWindows(), True: LocalBuckets()}
        self._without_room: OrderedDict[str, _Full] = OrderedDict()
        self._away = False
        self._ask_again_at = 0.0
        self._rooms: OrderedDict[tuple[str, str], _Room] = OrderedDict()
        self._untold: list[_Room] = []
        self._teller: asyncio.Task[None] | None = None

    def at_once(self, policy: Policy, who: str, amount: int = 1) -> Standing | None:
        """As ``take``, where there is plenty of room; ``None`` where it must be asked.

        What several servers let in within a moment may so exceed a limit only if it is more than ``PLENTY`` of it.
        """
        room = self._rooms.get((policy.name, who))
        if room is None or time.monotonic() >= room.until:
            return None
        remaining = room.remaining - amount
        if remaining < policy.item.amount * PLENTY:
            return None
        room.remaining = remaining
        if not room.untold:
            self._untold.append(room)
            if self._teller is None:
                self._teller = asyncio.create_task(self._tell())
        room.untold += amount
        return Standing(policy, remaining, room.reset)

    async def _tell(self) -> None:
        """Tell Redis what was let in, every moment until nothing more is."""
        try:
            while self._untold:
                await asyncio.sleep(MOMENT)
                rooms, self._untold = self._untold, []
                await asyncio.gather(*(self._told(room) for room in rooms))
        finally:
            self._teller = None

    async def _told(self, room: _Room) -> None:
        amount, room.untold = room.untold, 0
        if amount:
            room.under_way += amount
            try:
                await self._take(room.key, room.policy, amount, room, told=amount)
            finally:
                room.under_way -= amount

    def _room(self, policy: Policy, who: str, key: str) -> _Room:
        room = self._rooms.get((policy.name, who))
        if room is None:
            room = self._rooms[policy.name, who] = _Room(policy, key)
            if len(self._rooms) > MOST_ROOMS:
                self._rooms.popitem(last=False)
        else:
            self._rooms.move_to_end((policy.name, who))
        return room

    async def take(self, policy: Policy, who: str, amount: int = 1) -> Standing:
        """Take ``amount`` from what ``who`` has under ``policy``: all of it, or nothing."""
        key = _key(policy, who)
        full = self._full(key, amount)
        if full is not None:
            return full
        room = self._room(policy, who, key) if self._shared is not None and policy.item.amount >= LEAST else None
        if room is not None:
            await self._told(room)
        taken = await self._take(key, policy, amount, room)
        standing = Standing(policy, max(0, policy.item.amount - taken.count), taken.reset, taken.wait)
        if policy.bucket and taken.wait is not None:
            self._remember(key, _Full(time.monotonic() + taken.wait, amount, standing))
        elif not policy.bucket and standing.remaining == 0:
            self._remember(key, _Full(time.monotonic() + taken.reset, 1, standing))
        return standing

    def _remember(self, key: str, full: _Full) -> None:
        self._without_room[key] = full
        if len(self._without_room) > MOST_FULL:
            self._without_room.popitem(last=False)

    def full(self, policy: Policy, who: str) -> Standing | None:
        """How ``who`` stands if this process knows that there is no room at all; it asks nobody."""
        return self._full(_key(policy, who), 1) if self._without_room else None

    def _full(self, key: str, amount: int) -> Standing | None:
        known = self._without_room.get(key)
        if known is None:
            return None
        left = known.until - time.monotonic()
        if left <= 0:
            del self._without_room[key]
            return None
        if amount < known.least:
            return None
        return Standing(known.standing.policy, known.standing.remaining, left, left)

    async def _take(self, key: str, policy: Policy, amount: int, room: _Room | None = None, told: int = 0) -> Taken:
        """Take it from Redis, or here while that is away; ``told``: what of ``room.under_way`` this very attempt is."""
        local, item = self._local[policy.bucket], policy.item
        if self._shared is not None and time.monotonic() >= self._ask_again_at:
            try:
                taken = await self._shared.take(key, item, amount, bucket=policy.bucket)
            except RedisAway as away:
                # One late answer may be our own doing: the event loop was busy.
                if away.late != 1:
                    self._leave_alone()
            else:
                if self._away:
                    _log.info("Redis is back: requests are counted for all servers again")
                self._away = False
                if taken.wait is None:
                    # Should Redis go away now, this process knows at least what it let in itself.
                    local.take(key, item, amount)
                if room is not None:
                    room.remaining = item.amount - taken.count - room.untold - (room.under_way - told)
                    room.reset = taken.reset
                    room.until = time.monotonic() + FRESH if taken.wait is None else 0.0
                return taken
        if room is not None:
            room.until = 0.0
        return local.take(key, item, amount)

    def _leave_alone(self) -> None:
        if not self._away:
            _log.warning("Redis is away: requests are counted by this process alone until it is back")
        self._away = True
        self._ask_again_at = time.monotonic() + AWAY_PAUSE


def _key(policy: Policy, who: str) -> str:
    """The window's name: of bounded length, and without the subject, which may be somebody's e-mail address."""
    hashed = blake2b(who.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    item = policy.item
    return f"lakefront:limit:{policy.name}:{item.amount}/{item.get_expiry()}:{hashed}"
