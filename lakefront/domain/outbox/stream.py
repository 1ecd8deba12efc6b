"""The outbox as a Redis Stream with a consumer group: who shall look at which job next (C2).

It is a view of PostgreSQL, where a job's row decides. A job is handed to the stream once for each time that it is due
(a marker says so, gone after a minute), so that many servers may hand what all of them find. Whatever Redis forgets is
found due, and handed, again.
"""

import logging
import os
import secrets
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from lakefront.domain.outbox.claims import Due

STREAM: Final = "lakefront:{outbox}:jobs"
GROUP: Final = "workers"

HANDED: Final = 60
"""Seconds for which a job that was handed is not handed again."""

MOST: Final = 10_000
"""Messages that the stream keeps, more or less."""

OLDEST: Final = 3600.0
"""Seconds after which a message is cut off: its job was handed again long since."""

AWAY: Final = 1.0
"""Seconds for which Redis is not asked again after it failed."""

_GONE: Final = (RedisError, OSError, TimeoutError, RuntimeError)  # RuntimeError: uvloop's, for a lost connection

_HAND: Final = """
local handed = 0
for i = 2, #KEYS do
  if redis.call('SET', KEYS[i], '1', 'NX', 'EX', ARGV[1]) then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'job', ARGV[i + 1])
    handed = handed + 1
  end
end
return handed
"""

_log = logging.getLogger(__name__)


class Message(NamedTuple):
    """A message that this worker has to acknowledge."""

    message_id: bytes
    due: Due


class JobStream:
    """One worker's end of it. While Redis is away every method does nothing, and ``here`` is false."""

    def __init__(self, redis: "Redis | None") -> None:
        self._redis = redis
        self._hand = redis.register_script(_HAND) if redis is not None else None
        self._ask_again_at = 0.0 if redis is not None else float("inf")
        self.consumer = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._told = False

    @property
    def here(self) -> bool:
        """Whether Redis answered when it was asked last, or may be asked again."""
        return time.monotonic() >= self._ask_again_at

    async def hand(self, found: Sequence[Due]) -> None:
        """Put what is due into the stream, unless it is there."""
        if self._hand is None or not found or not self.here:
            return
        try:
            await self._hand(keys=[STREAM, *map(_marker, found)], args=[HANDED, MOST, *map(msgspec.json.encode, found)])
            self._back()
        except _GONE as lost:
            self._lost(lost)

    async def read(self, most: int) -> list[Message]:
        """New messages, which are this worker's until they are acknowledged; it does not wait for any."""
        if self._redis is None or not self.here:
            return []
        try:
            told = await self._read(most)
        except _GONE as lost:
            self._lost(lost)
            return []
        self._back()
        return [message for _, messages in told or () for message in _messages(messages)]

    async def take_over(self, idle: float) -> list[Message]:
        """Messages that another worker, which is dead by now, read ``idle`` seconds ago or more (XAUTOCLAIM)."""
        if self._redis is None or not self.here:
            return []
        try:
            answer = await self._redis.xautoclaim(STREAM, GROUP, self.consumer, int(idle * 1000), count=100)
        except ResponseError:
            return []  # no such group yet
        except _GONE as lost:
            self._lost(lost)
            return []
        return _messages(answer[1])

    async def acknowledge(self, message: Message) -> None:
        """Done with it, whatever came of its job: if that is due again, it is handed again."""
        if self._redis is None or not self.here:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.xack(STREAM, GROUP, message.message_id)
                pipeline.xdel(STREAM, message.message_id)
                pipeline.delete(_marker(message.due))
                await pipeline.execute()
        except _GONE as lost:
            self._lost(lost)

    async def tidy(self) -> None:
        """Cut off what is old (MINID), and remove workers that are no more."""
        if self._redis is None or not self.here:
            return
        try:
            oldest = int((time.time() - OLDEST) * 1000)
            await self._redis.xtrim(STREAM, minid=f"{oldest}-0", approximate=True)
            with suppress(ResponseError):
                for each in await self._redis.xinfo_consumers(STREAM, GROUP):
                    if each["pending"] == 0 and each["idle"] > OLDEST * 1000:
                        await self._redis.xgroup_delconsumer(STREAM, GROUP, each["name"])
        except _GONE as lost:
            self._lost(lost)

    async def _read(self, most: int) -> Any:
        assert self._redis is not None
        ask = partial(self._redis.xreadgroup, GROUP, self.consumer, {STREAM: ">"}, count=most)
        try:
            return await ask()
        except ResponseError as refused:
            if not str(refused).startswith("NOGROUP"):
                raise
        with suppress(ResponseError):  # another worker was quicker
            await self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        return await ask()

    def _lost(self, why: BaseException) -> None:
        self._ask_again_at = time.monotonic() + AWAY
        if not self._told:
            self._told = True
            _log.warning("Redis is away (%s): the outbox works on PostgreSQL alone", type(why).__name__)

    def _back(self) -> None:
        if self._told:
            self._told = False
            _log.info("Redis is back: the outbox hands its jobs over the stream again")


def _marker(due: Due) -> str:
    return f"lakefront:{{outbox}}:handed:{due.job_id}:{due.attempts}"


def _messages(told: Any) -> list[Message]:
    """What can be read of them; what was deleted meanwhile has no fields."""
    found = []
    for message_id, fields in told:
        with suppress(msgspec.MsgspecError, KeyError, TypeError):
            found.append(Message(message_id, msgspec.json.decode(fields[b"job"], type=Due)))
    return found
