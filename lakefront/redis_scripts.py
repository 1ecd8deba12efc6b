"""Scripts that run in Redis, where it may be away at any time: whoever asks then decides by what this process knows."""

import logging
import time
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

_log = logging.getLogger(__name__)

AWAY_PAUSE: Final = 1.0
"""Seconds for which Redis is not asked again after it failed: no request waits for its time-out in vain."""

FRESH: Final = 1.0
"""Seconds for which an answer of Redis says whether there is plenty of room: then nobody waits for it."""

AHEAD: Final = 20
"""One in so many of a limit is what a process lets in, at most, before Redis hears of it; of smaller ones nothing."""

MOMENT: Final = 0.1
"""Seconds after which Redis is told what was let in."""


class RedisScript:
    """One script; with ``redis`` None it is as if Redis were always away."""

    def __init__(self, redis: "Redis | None", text: str, *, what: str, pause: float = AWAY_PAUSE) -> None:
        """``what`` it keeps, as the log tells it: "quotas"."""
        self._script = redis.register_script(text) if redis is not None else None
        self._what = what
        self._pause = pause
        self._away = False
        self._ask_again_at = 0.0

    async def run(self, keys: Sequence[str], args: Sequence[float | str]) -> Any:
        """What the script answers; None when Redis is away, or was within the last second."""
        if self._script is None or time.monotonic() < self._ask_again_at:
            return None
        try:
            answer = await self._script(keys=list(keys), args=list(args))
        except (RedisError, OSError, TimeoutError, RuntimeError):  # uvloop's word for a connection that was just lost
            if not self._away:
                _log.warning("Redis is away: %s are kept by this process alone until it is back", self._what)
            self._away = True
            self._ask_again_at = time.monotonic() + self._pause
            return None
        if self._away:
            _log.info("Redis is back: %s are shared again", self._what)
        self._away = False
        return answer
