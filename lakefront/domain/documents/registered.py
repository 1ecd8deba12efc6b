"""Documents that clients registered (APQ): each tenant's own, in Redis, for as long as they are used."""

from typing import Final

from redis.asyncio import Redis

from lakefront.domain.documents.texts import OVERHEAD, Texts
from lakefront.redis_scripts import RedisScript
from lakefront.settings import MIB

TENANT_BYTES: Final = 4 * MIB
"""Bytes of documents that a tenant may have in Redis; the one not used for longest makes room."""

AT_HAND: Final = 8 * MIB
"""Bytes of texts that a server keeps, of all tenants."""

TTL: Final = 86_400
"""Seconds after its last use for which a document is kept, where the settings say nothing else."""

# KEYS: a hash of texts by name, and the names by when they were used last. 'bytes' is no name: those are 64 digits.
_NOW: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
"""

_KEEP: Final = f"""{_NOW}
local name, text, ttl, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local function add()
    if redis.call('HSETNX', KEYS[1], name, text) == 1 then
        redis.call('HINCRBY', KEYS[1], 'bytes', #text + {OVERHEAD})
    end
    redis.call('ZADD', KEYS[2], now, name)
end
local function drop(old)
    redis.call('HINCRBY', KEYS[1], 'bytes', -redis.call('HSTRLEN', KEYS[1], old) - {OVERHEAD})
    redis.call('HDEL', KEYS[1], old)
    redis.call('ZREM', KEYS[2], old)
end
add()
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ttl)) do drop(old) end
while tonumber(redis.call('HGET', KEYS[1], 'bytes')) > most do
    local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
    if oldest == name then
        -- Redis evicted one of the two: begin anew.
        redis.call('DEL', KEYS[1], KEYS[2])
        add()
        break
    end
    drop(oldest)
end
redis.call('EXPIRE', KEYS[1], ttl)
redis.call('EXPIRE', KEYS[2], ttl)
return 1
"""

_FIND: Final = f"""{_NOW}
local name, ttl = ARGV[1], tonumber(ARGV[2])
local used = tonumber(redis.call('ZSCORE', KEYS[2], name) or now - ttl)
local text = redis.call('HGET', KEYS[1], name)
if not text or used <= now - ttl then return false end
redis.call('ZADD', KEYS[2], now, name)
redis.call('EXPIRE', KEYS[1], ttl)
redis.call('EXPIRE', KEYS[2], ttl)
return text
"""


class Registered:
    """What clients registered. While Redis is away each server knows its own: a client just registers again."""

    def __init__(self, redis: "Redis | None" = None, *, ttl: int = TTL, tenant_bytes: int = TENANT_BYTES) -> None:
        """``ttl`` in seconds; ``redis`` None: only this process knows."""
        self._keep = RedisScript(redis, _KEEP, what="registered documents")
        self._find = RedisScript(redis, _FIND, what="registered documents")
        self._ttl = ttl
        self._tenant_bytes = tenant_bytes
        self._texts: Texts[tuple[str, bytes]] = Texts(AT_HAND)

    def at_hand(self, tenant: str, sha256: bytes) -> str | None:
        """As ``find``, where this process knows the text."""
        return self._texts.get((tenant, sha256))

    async def find(self, tenant: str, sha256: bytes) -> str | None:
        """The text that one of ``tenant`` registered under its hash, ``None`` if nobody did or it was forgotten."""
        text = self.at_hand(tenant, sha256)
        if text is None:
            found: bytes | None = await self._find.run(_keys(tenant), [sha256.hex(), self._ttl])
            if found is None:
                return None
            text = found.decode()
            self._texts.put((tenant, sha256), text)
        return text

    async def keep(self, tenant: str, sha256: bytes, text: str) -> None:
        """Keep ``text`` for ``tenant``, if it is not larger than all that the tenant may have."""
        if len(text) + OVERHEAD > self._tenant_bytes:
            return
        self._texts.put((tenant, sha256), text)
        await self._keep.run(_keys(tenant), [sha256.hex(), text, self._ttl, self._tenant_bytes])


def _keys(tenant: str) -> list[str]:
    # The braces keep both on one node of a Redis cluster.
    return [f"lakefront:documents:{{{tenant}}}:texts", f"lakefront:documents:{{{tenant}}}:used"]
