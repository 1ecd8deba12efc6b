"""The ingest quota (P6): a token bucket with debt in Redis, shared by all replicas; a local one while Redis is away.

A bucket holds one second's worth. A request passes while the bucket is not in debt, whatever its size, and its events
are taken off; a large one leaves a debt, and the next is refused until that is paid off. So 25 MB requests work, and
the long-run rate holds.
"""

import math
import time
from collections import OrderedDict
from typing import Final

from redis.asyncio import Redis

from lakefront.errors import RateLimited
from lakefront.redis_scripts import RedisScript

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


class Quotas:
    """Takes amounts from named buckets; ``redis`` None means that only this process counts."""

    def __init__(self, redis: "Redis | None", *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._script = RedisScript(redis, _TAKE, what="quotas")
        self._local: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def take(self, bucket: str, amount: int, *, rate: float) -> None:
        """Take ``amount`` from ``bucket``, which fills with ``rate`` units/s; raises ``RateLimited`` while in debt."""
        if not self._enabled or amount <= 0:
            return
        wait = await self._take(bucket, amount, rate)
        if wait > 0:
            message = f"The quota of {rate:g} events/s is used up. Wait as long as Retry-After says, then send again."
            told = {"field": "rate", "message": message, "limit": rate, "remaining": 0}
            raise RateLimited(message, details=[told], retry_after=math.ceil(wait))

    async def _take(self, bucket: str, amount: int, rate: float) -> float:
        wait = await self._script.run([f"lakefront:quota:{bucket}"], [rate, amount])
        if wait is not None:
            return float(wait)
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
