"""Tokens that outside systems give for credentials and take for a while (C6): fetched once by all servers together.

A token is in Redis, encrypted, until it ends. Five minutes before that, one caller fetches another while all others go
on with the old one, as does everybody while no other can be had. While Redis is away each server has its own.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Final, NamedTuple, Protocol

from redis.asyncio import Redis

from lakefront.adapters.endpoint import Endpoint, Key
from lakefront.errors import LakefrontError
from lakefront.redis_scripts import RedisScript

EARLY: Final = 300.0
"""Seconds before its end that a token is renewed; half of its life where that is less."""

MOST_TOKENS: Final = 10_000
"""Integrations whose tokens a process remembers; past that the one that was used longest ago is forgotten."""

_FETCHING: Final = 35.0
"""Seconds that one server may be at it before another tries: a call takes 30 at most."""

_LOOK: Final = 0.05
"""Seconds between two looks at whether another server has it."""

_AGAIN: Final = 5.0
"""Seconds after which a token that could not be renewed, and still holds, is tried again."""

_ASK: Final = """
local kept, left = redis.call('HMGET', KEYS[1], 'sealed', 'early'), redis.call('PTTL', KEYS[1])
local early, mine = tonumber(kept[2] or '0'), 0
if left <= early and redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then mine = 1 end
return {kept[1] or '', left, early, mine}
"""
"""The token, its milliseconds, and whether it is the asker's turn to fetch another."""

_KEEP: Final = """
redis.call('HSET', KEYS[1], 'sealed', ARGV[2], 'early', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
"""

_LEAVE: Final = "if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end"

_DROP: Final = "if redis.call('HGET', KEYS[1], 'sealed') == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Token(NamedTuple):
    """What a system gave; it holds for ``seconds``."""

    text: str
    seconds: float


class Cipher(Protocol):
    """What encrypts tokens for Redis."""

    def seal(self, endpoint: Endpoint, text: str) -> str:
        """``text``, which can be read for this endpoint alone; ASCII."""

    def unseal(self, endpoint: Endpoint, sealed: str) -> str | None:
        """What was sealed for this endpoint; None where this was not, or the key of it is gone."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A token; times are on the monotonic clock. ``sealed`` as Redis has it, empty where it has not."""

    text: str
    until: float
    renew_at: float
    sealed: str = ""


@dataclass(slots=True)
class _Entry:
    version: int
    held: _Held | None = None
    renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def holds(self, now: float) -> _Held | None:
        return self.held if self.held is not None and now < self.held.until else None


class Tokens:
    """The tokens of all integrations; without Redis or ``cipher`` only this process knows them."""

    def __init__(
        self,
        redis: "Redis | None" = None,
        cipher: Cipher | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` in seconds."""
        self._cipher = cipher
        shared = redis if cipher is not None else None
        what = "tokens of outside systems"
        self._ask, self._keep = RedisScript(shared, _ASK, what=what), RedisScript(shared, _KEEP, what=what)
        self._leave, self._drop = RedisScript(shared, _LEAVE, what=what), RedisScript(shared, _DROP, what=what)
        self._clock = clock
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    async def get(self, endpoint: Endpoint, fetch: Callable[[], Awaitable[Token]]) -> str:
        """A token that holds; ``fetch`` is called where there is none to be had, and what it raises is raised."""
        entry, now = self._entry(endpoint), self._clock()
        held = entry.holds(now)
        if held is not None and (now < held.renew_at or entry.renewing.locked()):
            return held.text
        async with entry.renewing:
            held = entry.holds(self._clock())
            if held is None or held.renew_at <= self._clock():
                held = entry.held = await self._renewed(endpoint, entry, fetch)
            return held.text

    async def drop(self, endpoint: Endpoint, text: str) -> None:
        """Forget the token ``text``, which the system takes no more, unless there is another already."""
        entry = self._entry(endpoint)
        held = entry.held
        if held is None or held.text != text:
            return
        entry.held = None
        if held.sealed:
            await self._drop.run(_keys(endpoint), [held.sealed])

    async def _renewed(self, endpoint: Endpoint, entry: _Entry, fetch: Callable[[], Awaitable[Token]]) -> _Held:
        """The token that another server fetched, or one that is fetched now; the old one where neither can be."""
        who, kept = token_hex(8), False
        theirs, mine = await self._others(endpoint, who)
        if theirs is not None and not mine:
            return theirs
        try:
            token = await fetch()
            until = self._clock() + token.seconds
            held = _Held(token.text, until, until - _early(token.seconds))
            if mine and self._cipher is not None:
                held = replace(held, sealed=self._cipher.seal(endpoint, token.text))
                lives = [int(token.seconds * 1000), int(_early(token.seconds) * 1000)]
                await self._keep.run(_keys(endpoint), [who, held.sealed, *lives])
                kept = True
        except LakefrontError:
            old = theirs or entry.holds(self._clock())
            if old is None:
                raise
            held = replace(old, renew_at=self._clock() + _AGAIN)
        finally:
            if mine and not kept:
                await self._leave.run(_keys(endpoint), [who])
        return held

    async def _others(self, endpoint: Endpoint, who: str) -> tuple[_Held | None, bool]:
        """What the servers have together, and whether it is our turn to fetch another.

        Neither: Redis is away, or another server is at it for too long.
        """
        until = self._clock() + _FETCHING
        while (answer := await self._ask.run(_keys(endpoint), [who, int(_FETCHING * 1000)])) is not None:
            sealed, (left, early, mine) = answer[0].decode(), map(int, answer[1:])
            found = self._cipher.unseal(endpoint, sealed) if sealed and self._cipher is not None else None
            now = self._clock()
            if found is not None:
                held = _Held(found, now + left / 1000, now + (left - early) / 1000, sealed)
                return held, bool(mine)
            if mine or now >= until:
                return None, bool(mine)
            if sealed:
                await self._drop.run(_keys(endpoint), [sealed])
            else:
                await asyncio.sleep(_LOOK)
        return None, False

    def _entry(self, endpoint: Endpoint) -> _Entry:
        entry = self._entries.get(endpoint.key)
        if entry is None or entry.version != endpoint.version:
            entry = self._entries[endpoint.key] = _Entry(endpoint.version)
            if len(self._entries) > MOST_TOKENS:
                self._entries.popitem(last=False)
        self._entries.move_to_end(endpoint.key)
        return entry


def _early(seconds: float) -> float:
    return min(EARLY, seconds / 2)


def _keys(endpoint: Endpoint) -> list[str]:
    """The token's and its lock's; the braces keep both on one node of a cluster."""
    name = f"lakefront:tokens:{{{'|'.join(endpoint.key)}|{endpoint.version}}}"
    return [name, f"{name}:fetching"]
