"""The ingest quota (P6): a token bucket with debt in Redis, shared by all replicas; a local one while Redis is away.

A bucket holds one second's worth. A request passes while the bucket is not in debt, whatever its size, and its events
are taken off; a large one leaves a debt, and the next is refused until that is paid off. So 25 MB requests work, and
the long-run rate holds.
"""

import logging
import math
import time
from collections import OrderedDict
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from lakefront.errors import RateLimited

_log = logging.getLogger(__name__)

_TAKE: Final = """
local state = redis.call('HMGET', KEYS[1], 'level', 'at')
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local rate, amount = tonumber(ARGV[1]), tonumber(ARGV[2])
local level = tonumber(state[1]) or rate
local at = tonumber(state[2]) or now
level = math.min(rate, level + math.max(0, now - at) * rate)
local wait = 0
if level <= 0 then wait = (1 - level) / rate else level = level - amount end
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((1 + math.max(0, -level) / rate) * 1000) + 1000)
return tostring(wait)
"""

_MOST_LOCAL_BUCKETS: Final = 10_000

_AWAY_PAUSE: Final = 1.0
"""Seconds for which Redis is not asked again after it failed: no request waits for its time-out in vain."""


class Quotas:
    """Takes amounts from named buckets; ``redis`` None means that only this process counts."""

    def __init__(self, redis: "Redis | None", *, enabled: bool = True) -> None:
        self._redis = redis
        self._enabled = enabled
        self._script = redis.register_script(_TAKE) if redis is not None else None
        self._local: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._away = False
        self._ask_again_at = 0.0

    async def take(self, bucket: str, amount: int, *, rate: float) -> None:
        """Take ``amount`` from ``bucket``, which fills with ``rate`` units/s; raises ``RateLimited`` while in debt."""
        if not self._enabled or amount <= 0:
            return
        wait = await self._take(bucket, amount, rate)
        if wait > 0:
            raise RateLimited(
                f"The quota of {rate:g} events/s is used up. Wait as long as Retry-After says, then send again.",
                retry_after=math.ceil(wait),
            )

    async def _take(self, bucket: str, amount: int, rate: float) -> float:
        if self._script is not None and time.monotonic() >= self._ask_again_at:
            try:
                wait = float(await self._script(keys=[f"lakefront:quota:{bucket}"], args=[rate, amount]))
            except (RedisError, OSError, TimeoutError):
                if not self._away:
                    _log.warning("Redis is away: quotas are counted by this process alone until it is back")
                self._away = True
                self._ask_again_at = time.monotonic() + _AWAY_PAUSE
            else:
                if self._away:
                    _log.info("Redis is back: quotas are shared again")
                self._away = False
                return wait
        return self._take_local(bucket, amount, rate)

    def _take_local(self, bucket: str, amount: int, rate: float) -> float:
        now = time.monotonic()
        level, at = self._local.pop(bucket, (rate, now))
        level = min(rate, level + (now - at) * rate)
        wait = 0.0
        if level <= 0:
            wait = (1 - level) / rate
        else:
            level -= amount
        self._local[bucket] = (level, now)
        if len(self._local) > _MOST_LOCAL_BUCKETS:
            self._local.popitem(last=False)
        return wait
