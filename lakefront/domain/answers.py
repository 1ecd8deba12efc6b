"""Answers of outside systems, remembered: in Redis for all servers, and one flight for each question in a process."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from hashlib import blake2b
from time import time
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar

import msgspec
from cachetools import LRUCache
from redis.asyncio import Redis

from lakefront.errors import NotConfigured, RateLimited, Unavailable, UpstreamError, UpstreamRejected
from lakefront.redis_scripts import RedisScript

T = TypeVar("T")

MOST_AT_HAND: Final = 10_000
"""Answers that a server keeps itself, of all tenants; the one not used for longest makes room."""

PATIENCE: Final = 10.0
"""Seconds that somebody waits for an answer, well below what an operation may take: a slow system delays its own field
alone. The call goes on, and whoever asks next may have its answer."""

PATIENCE_WITH_OLDER: Final = 2.0
"""The same where there is an older answer to give instead."""

FAILURES: Final = (UpstreamError, UpstreamRejected, RateLimited, Unavailable, NotConfigured)
"""What says that an outside system has no answer, be it for now: another one may have, or an older one does."""

_READ: Final = "return redis.call('MGET', unpack(KEYS))"
_WRITE: Final = "return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])"


class Told(NamedTuple):
    """An answer as it came: JSON that is fresh for some seconds, and may be shown as stale while it is kept."""

    body: bytes
    fresh: float
    keep: float


class Known(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is kept. Times are in seconds since the epoch."""

    as_of: float
    fresh_until: float
    kept_until: float
    body: msgspec.Raw
    stale: bool = False

    @classmethod
    def of(cls, told: Told) -> Self:
        """What was told just now."""
        now = time()
        return cls(now, now + told.fresh, now + told.keep, msgspec.Raw(told.body))


Ask = Callable[[], Awaitable[Told]]
"""Asks the outside system, and raises what a call raises."""


class Answers:
    """What outside systems answered. While Redis is away each server knows what it asked itself."""

    def __init__(self, redis: "Redis | None" = None) -> None:
        """``redis`` None: only this process remembers."""
        self._read = RedisScript(redis, _READ, what="answers of outside systems")
        self._write = RedisScript(redis, _WRITE, what="answers of outside systems")
        self._at_hand: LRUCache[str, Known] = LRUCache(MOST_AT_HAND)
        self._flights: dict[str, asyncio.Task[Known]] = {}

    async def one(self, key: str, ask: Ask) -> Known:
        """The answer to one question: see ``many`` and ``Pending.get``."""
        [pending] = await self.many([key], lambda _: [ask])
        return await pending.get()

    async def many(self, keys: Sequence[str], asks: Callable[[list[int]], Sequence[Ask]]) -> list["Pending"]:
        """The answers by their ``keys``, of one tenant, as they come.

        ``asks`` is given the positions of those that nobody knows and nobody asks for yet, and says how to ask for
        each; it awaits nothing.
        """
        found = await self._find(keys)
        # From here to the end nothing is awaited: whoever comes meanwhile finds the flight.
        found |= self._fresh(keys)
        now = time()
        wanted = {key: at for at, key in enumerate(keys) if key not in found or found[key].fresh_until <= now}
        missing = {key: at for key, at in wanted.items() if key not in self._flights}
        for key, ask in zip(missing, asks(list(missing.values())) if missing else (), strict=True):
            flight = self._flights[key] = asyncio.create_task(self._fly(key, ask))
            flight.add_done_callback(_heard)
        return [Pending(found.get(key), self._flights[key] if key in wanted else None) for key in keys]

    async def close(self) -> None:
        """End the calls under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _find(self, keys: Iterable[str]) -> dict[str, Known]:
        """What is known of ``keys``, the stale as well."""
        found = self._fresh(keys)
        asked = [key for key in dict.fromkeys(keys) if key not in found]
        kept = await self._read.run(asked, []) if asked else None
        if kept is None:
            return found | {key: self._at_hand[key] for key in asked if key in self._at_hand}
        for key, text in zip(asked, kept, strict=True):
            if text is not None and (known := _read(text)) is not None:
                found[key] = self._at_hand[key] = known
        return found

    def _fresh(self, keys: Iterable[str]) -> dict[str, Known]:
        """What this process itself knows."""
        now = time()
        known = {key: self._at_hand.get(key) for key in keys}
        return {key: answer for key, answer in known.items() if answer is not None and answer.fresh_until > now}

    async def _fly(self, key: str, ask: Ask) -> Known:
        try:
            known = Known.of(await ask())
            self._at_hand[key] = known
            milliseconds = int((known.kept_until - known.as_of) * 1000)
            await self._write.run([key], [msgspec.json.encode(known).decode(), milliseconds])
            return known
        finally:
            del self._flights[key]


class Pending:
    """An answer that is known, or under way, or both: an older one while a new one is asked for."""

    __slots__ = ("_flight", "_known")

    def __init__(self, known: Known | None, flight: "asyncio.Task[Known] | None") -> None:
        self._known = known
        self._flight = flight

    async def get(self) -> Known:
        """The answer; where the outside system fails or is slow, the older one, as ``stale``.

        Raises ``FAILURES``, and what else the question's ``Ask`` does, where there is none.
        """
        known = self._known
        if self._flight is None:
            assert known is not None
            return known
        if known is None or known.kept_until <= time():
            return await _landed(self._flight, PATIENCE)
        try:
            return await _landed(self._flight, PATIENCE_WITH_OLDER)
        except FAILURES:
            return msgspec.structs.replace(known, stale=True)


async def _landed(flight: "asyncio.Task[Known]", patience: float) -> Known:
    try:
        async with asyncio.timeout(patience):
            # Shielded: others may wait for it, too, and what it costs is spent already.
            return await asyncio.shield(flight)
    except TimeoutError:
        raise UpstreamError("An outside system did not answer in time. Try again in a while.") from None


class Shared(Generic[T]):
    """What several need and one of them asks for, when the first needs it."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._ask = ask
        self._asked: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The same for all; raises what ``ask`` does."""
        if self._asked is None:
            self._asked = asyncio.create_task(self._ask())
            self._asked.add_done_callback(_heard)
        return await asyncio.shield(self._asked)


def key_of(tenant: str, what: str, parts: Iterable[Any], *, form: Mapping[str, Any]) -> str:
    """The key of a question: ``what`` in a word, and ``parts`` by their hash, as addresses are nobody's to read.

    ``form`` is the answer's, by its members: another release may have another.
    """
    question = msgspec.json.encode([list(form), *parts])
    # The braces keep a tenant's on one node of a Redis cluster.
    return f"lakefront:answers:{{{tenant}}}:{what}:{blake2b(question, digest_size=16).hexdigest()}"


def _read(text: bytes) -> Known | None:
    """None for what another release wrote, or nobody of us: it is asked for anew."""
    try:
        return msgspec.json.decode(text, type=Known)
    except msgspec.DecodeError:
        return None


def _heard(flight: "asyncio.Task[Any]") -> None:
    """That nobody waits for it any more is no error."""
    if not flight.cancelled():
        flight.exception()
