"""The windows and buckets in Redis: every request that waits goes in one round trip, with the library's own scripts."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
from limits import RateLimitItem
from limits.aio.storage.redis.bridge import RedisBridge
from redis.asyncio import Redis
from redis.exceptions import RedisError

PATIENCE: Final = 0.05
"""Seconds that requests wait for an answer of Redis."""

MOST_AT_ONCE: Final = 200
"""Windows in one round trip: Redis does nothing else meanwhile."""

CRUMB: Final = 0.01
"""What of an amount is lost in the rounding of times; nobody is made to wait for it."""

_SCRIPT: Final = f"""
local function acquire(KEYS, ARGV)
{RedisBridge.SCRIPT_ACQUIRE_MOVING_WINDOW.decode()}
end
local function window(KEYS, ARGV)
{RedisBridge.SCRIPT_MOVING_WINDOW.decode()}
end
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local function bucket(key, limit, seconds, amount, owed)
    local each = seconds / limit
    local full_at = math.max(tonumber(redis.call('get', key) or now), now) + owed * each
    local over = (full_at - now) / each + amount - limit
    local wait = -1
    if amount > 0 and over > {CRUMB} then
        wait = math.ceil(over * each * 1000)
        amount = 0
    end
    if amount + owed > 0 then
        full_at = full_at + amount * each
        redis.call('set', key, string.format('%.6f', full_at), 'px', math.ceil((full_at - now) * 1000) + 1)
    end
    return {{wait, math.ceil((full_at - now) / each - {CRUMB}), math.ceil((full_at - now) * 1000)}}
end
local function enter(key, limit, seconds, amount)
    local entries = {{}}
    for index = 1, math.min(amount, limit) do entries[index] = now end
    for index = 1, #entries, 5000 do
        redis.call('lpush', key, unpack(entries, index, math.min(index + 4999, #entries)))
    end
    redis.call('ltrim', key, 0, limit - 1)
    redis.call('expire', key, seconds)
end
local function moving_window(key, limit, seconds, amount, owed)
    local wait = -1
    if owed > 0 then enter(key, limit, seconds, owed) end
    if amount > 0 and not acquire({{key}}, {{now, limit, seconds, amount}}) then
        local blocking = redis.call('lindex', key, limit - amount)
        wait = math.ceil(((tonumber(blocking or now) + seconds) - now) * 1000)
    end
    local oldest = window({{key}}, {{now - seconds, limit}}) or {{now, 0}}
    -- Lua writes the oldest with four digits after the point, which may round it past now.
    local reset = math.min(seconds, oldest[1] + seconds - now)
    return {{wait, oldest[2], math.ceil(reset * 1000)}}
end
local answers = {{}}
for index, asked in ipairs(cjson.decode(ARGV[1])) do
    local limit, seconds, amount, owed, is_bucket = unpack(asked)
    local take = is_bucket and bucket or moving_window
    answers[index] = take(KEYS[index], limit, seconds, amount, owed)
end
return cjson.encode(answers)
"""


class RedisAway(Exception):
    """Redis did not answer, or not in time: then ``late`` is how often in a row, else 0."""

    def __init__(self, late: int = 0) -> None:
        self.late = late
        super().__init__(f"Redis did not answer in time, {late} times" if late else "Redis is away")


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an attempt: ``wait`` seconds until it may be made again, ``None`` if it was let in.

    ``count`` are the entries in the window, of which the oldest leaves it in ``reset`` seconds; or what is missing in
    the bucket, which is full again in ``reset`` seconds.
    """

    wait: float | None
    count: int
    reset: float


class _Attempt(NamedTuple):
    key: str
    item: RateLimitItem
    amount: int
    owed: int
    bucket: bool
    answer: asyncio.Future[Taken]


class SharedWindows:
    """Moving windows and buckets in one Redis. The clock is Redis' own, so that those of the servers may differ."""

    def __init__(self, redis: "Redis", patience: float = PATIENCE) -> None:
        """``patience`` in seconds."""
        self._patience = patience
        self._script = redis.register_script(_SCRIPT)
        self._waiting: deque[_Attempt] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._late = 0

    def take(
        self, key: str, item: RateLimitItem, amount: int, *, owed: int = 0, bucket: bool = False
    ) -> asyncio.Future[Taken]:
        """Take ``amount`` from the window (or bucket) ``key`` if it has room for all of it; raises ``RedisAway``.

        What is ``owed`` was let in before and is entered first, room or not. Attempts are made in the order of calls.
        """
        answer: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Attempt(key, item, amount, owed, bucket, answer))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return answer

    async def _send(self) -> None:
        """Send what waits, and what came meanwhile, until nothing does."""
        try:
            while self._waiting:
                attempts = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
                try:
                    async with asyncio.timeout(self._patience):
                        answers = await self._ask(attempts)
                except (RedisError, OSError, TimeoutError) as why:
                    self._late = self._late + 1 if isinstance(why, TimeoutError) else 0
                    # Whoever came while these waited has no patience left either.
                    self._fail([*attempts, *self._waiting], self._late)
                    self._waiting.clear()
                    return
                except BaseException:
                    # Nobody may wait for an answer that does not come, whatever it was.
                    self._fail([*attempts, *self._waiting], 0)
                    self._waiting.clear()
                    raise
                self._late = 0
                for attempt, taken in zip(attempts, answers, strict=True):  # _ask gives one for each
                    if not attempt.answer.done():
                        attempt.answer.set_result(taken)
        finally:
            self._sender = None

    async def _ask(self, attempts: list[_Attempt]) -> list[Taken]:
        # One text each way: the client packs and parses every single argument and number by itself, and slowly.
        asked = orjson.dumps([(it.item.amount, it.item.get_expiry(), it.amount, it.owed, it.bucket) for it in attempts])
        told: Any = await self._script(keys=[attempt.key for attempt in attempts], args=[asked])
        rows = orjson.loads(told)
        if len(rows) != len(attempts):
            raise RedisError(f"{len(attempts)} were asked for, {len(rows)} answered")
        return [Taken(None if wait < 0 else wait / 1000, count, reset / 1000) for wait, count, reset in rows]

    @staticmethod
    def _fail(attempts: list[_Attempt], late: int) -> None:
        for attempt in attempts:
            if not attempt.answer.done():
                attempt.answer.set_exception(RedisAway(late))
