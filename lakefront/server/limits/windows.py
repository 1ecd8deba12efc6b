"""Counting: in Redis, in this process while Redis is away, and not at all for whoever has been told to wait.

Where there is plenty of room nobody waits for Redis: it hears in a moment of all that was let in, everybody's at once.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from hashlib import blake2b
from typing import Final

from redis.asyncio import Redis

from lakefront.redis_scripts import AWAY_PAUSE, FRESH, MOMENT
from lakefront.server.limits.local import LocalBuckets, LocalWindows
from lakefront.server.limits.policies import Policy
from lakefront.server.limits.rooms import Room, Standing
from lakefront.server.limits.shared import PATIENCE, RedisAway, SharedWindows, Taken

MOST_ROOMS: Final = 10_000
"""Windows and buckets of which something is known; past that the one asked about longest ago is forgotten."""

_log = logging.getLogger("lakefront.server.limits")


class Windows:
    """Takes amounts from the windows and buckets of whoever asks; without ``redis`` only this process counts.

    One process lets in no more than the limit, ever. Several may, together, let in as much more as each lets in before
    Redis hears of it: a twentieth of the limit each (``AHEAD``), of a limit below 20 nothing, and only of what came
    within a moment (``MOMENT``) or, for whoever has just come to a server, within a second (``FRESH``) after Redis told
    it that half of the limit was left (``plenty``). What is over counts: it is missing from what comes after.
    """

    def __init__(self, redis: "Redis | None", patience: float = PATIENCE) -> None:
        """``patience``: seconds that requests wait for Redis."""
        self._shared = SharedWindows(redis, patience) if redis is not None else None
        self._local: dict[bool, LocalWindows | LocalBuckets] = {False: LocalWindows(), True: LocalBuckets()}
        self._rooms: OrderedDict[tuple[str, str], Room] = OrderedDict()
        self._untold: list[Room] = []
        self._telling: asyncio.TimerHandle | None = None
        self._away = False
        self._ask_again_at = 0.0

    async def take(self, policy: Policy, who: str, amount: int = 1) -> Standing:
        """Take ``amount`` from what ``who`` has under ``policy``: all of it, or nothing."""
        [standing] = await self.take_all(who, [(policy, amount)])
        return standing

    async def take_all(self, who: str, amounts: Iterable[tuple[Policy, int]]) -> list[Standing]:
        """Take each of ``amounts`` by itself, in one round trip; in none where there is plenty of room, or nothing."""
        taken = [self._take(policy, who, amount) for policy, amount in amounts]
        return [each if isinstance(each, Standing) else await each for each in taken]

    def plenty(self, who: str, amounts: Iterable[tuple[Policy, int]]) -> list[tuple[Room, int]] | None:
        """What ``let_in`` takes where there is plenty of room for each of ``amounts``; ``None`` otherwise."""
        now, found = time.monotonic(), []
        for policy, amount in amounts:
            room = self._rooms.get((policy.name, who))
            if room is None or not room.has_plenty(amount, now) or room.refusal(amount, now) is not None:
                return None
            found.append((room, amount))
        return found

    def let_in(self, plenty: Iterable[tuple[Room, int]]) -> list[Standing]:
        """As ``take_all``, before anything else is taken, of what there was ``plenty``."""
        now = time.monotonic()
        return [self._let_in(room, amount, now) for room, amount in plenty]

    def full(self, policy: Policy, who: str) -> Standing | None:
        """How ``who`` stands if this process knows that there is no room at all; it asks nobody."""
        room = self._rooms.get((policy.name, who))
        return room.refusal(1, time.monotonic()) if room is not None else None

    async def close(self) -> None:
        """Tell what was let in and not told yet, as far as Redis is there."""
        if self._telling is not None:
            self._telling.cancel()
        await asyncio.gather(*self._tell())

    def _take(self, policy: Policy, who: str, amount: int) -> Standing | asyncio.Future[Standing]:
        room, now = self._rooms.get((policy.name, who)), time.monotonic()
        if room is None:
            room = self._new_room(policy, who)
        elif (refusal := room.refusal(amount, now)) is not None:
            return refusal
        if room.has_plenty(amount, now):
            return self._let_in(room, amount, now)
        self._rooms.move_to_end((policy.name, who))
        return self._ask(room, amount, now)

    def _let_in(self, room: Room, amount: int, now: float) -> Standing:
        if not room.untold:
            self._untold.append(room)
            if self._telling is None:
                self._telling = asyncio.get_running_loop().call_later(MOMENT, self._tell)
        return room.let_in(amount, now)

    def _new_room(self, policy: Policy, who: str) -> Room:
        room = self._rooms[policy.name, who] = Room(policy, _key(policy, who))
        # What is in use stays, at the end; two looks each time make room again once it is told.
        for _ in range(min(2, len(self._rooms) - MOST_ROOMS)):
            name, oldest = self._rooms.popitem(last=False)
            if not oldest.idle:
                self._rooms[name] = oldest
        return room

    def _tell(self) -> list[asyncio.Future[Standing]]:
        """Tell Redis what was let in, in one round trip."""
        self._telling = None
        rooms, self._untold = self._untold, []
        now = time.monotonic()
        asked = [self._ask(room, 0, now) for room in rooms if room.untold]
        return [each for each in asked if isinstance(each, asyncio.Future)]

    def _ask(self, room: Room, amount: int, now: float) -> Standing | asyncio.Future[Standing]:
        """Ask Redis, or count here while that is away; either way what was let in before is entered first."""
        owed = room.ask(amount)
        if self._shared is None or now < self._ask_again_at:
            return self._count_here(room, amount, owed)
        policy = room.policy
        answer: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()
        taken = self._shared.take(room.key, policy.item, amount, owed=owed, bucket=policy.bucket)
        taken.add_done_callback(partial(self._answered, room, amount, owed, answer))
        return answer

    def _answered(
        self, room: Room, amount: int, owed: int, answer: asyncio.Future[Standing], told: asyncio.Future[Taken]
    ) -> None:
        away = told.exception()
        if away is None:
            standing = self._learn(room, amount, owed, told.result())
        else:
            # One late answer may be our own doing: the event loop was busy.
            if not isinstance(away, RedisAway) or away.late != 1:
                self._leave_alone()
            standing = self._count_here(room, amount, owed)
        if not answer.done():  # whoever asked may be gone; it counts all the same
            answer.set_result(standing)

    def _learn(self, room: Room, amount: int, owed: int, taken: Taken) -> Standing:
        if self._away:
            _log.info("Redis is back: requests are counted for all servers again")
        self._away = False
        let_in = owed + amount if taken.wait is None else owed
        if let_in:
            # Should Redis go away now, this process knows at least what it let in itself.
            self._local[room.policy.bucket].take(room.key, room.policy.item, 0, let_in)
        now = time.monotonic()
        return room.learn(amount, owed, taken, now, until=now + FRESH)

    def _count_here(self, room: Room, amount: int, owed: int) -> Standing:
        taken = self._local[room.policy.bucket].take(room.key, room.policy.item, amount, owed)
        return room.learn(amount, owed, taken, time.monotonic(), until=0.0)

    def _leave_alone(self) -> None:
        if not self._away:
            _log.warning("Redis is away: requests are counted by this process alone until it is back")
        self._away = True
        self._ask_again_at = time.monotonic() + AWAY_PAUSE


def _key(policy: Policy, who: str) -> str:
    """The window's name: of bounded length, and without the subject, which may be somebody's e-mail address."""
    hashed = blake2b(who.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"lakefront:limit:{policy.name}:{policy.limit}/{policy.seconds}:{hashed}"
