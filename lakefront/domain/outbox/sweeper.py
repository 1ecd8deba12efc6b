"""Keeps what Redis shows of dead letters as PostgreSQL has it, and the outbox small (C12).

``dlq:<provider>`` is a list of those that wait, oldest first, of all tenants: for operators to look at. Nothing reads
it here, and nothing is lost with it.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from lakefront.db.database import Database
from lakefront.domain.outbox.pace import Pace

MOST_LISTED: Final = 1000
"""Letters of a provider that Redis lists: the newest."""

_MARKS: Final = """
SELECT coalesce(json_agg(json_build_array(provider, waiting, mark)), '[]') FROM (
  SELECT provider, count(*) FILTER (WHERE state = 'WAITING') AS waiting,
    concat(count(*) FILTER (WHERE state = 'WAITING'), '/', count(*), '/', max(died_at)) AS mark
  FROM lakefront.dead_letters GROUP BY provider) each
"""

_WAITING: Final = """
SELECT coalesce(json_agg(json_build_array(tenant_id, letter_id) ORDER BY died_at), '[]') FROM (
  SELECT tenant_id, letter_id, died_at FROM lakefront.dead_letters
  WHERE provider = $1 AND state = 'WAITING' ORDER BY died_at DESC LIMIT $2) newest
"""

_LETTERS: Final = """
SELECT letter_id, json_build_object('tenant', tenant_id, 'letter_id', letter_id, 'job_id', job_id, 'kind', kind,
  'key', key, 'city', city, 'uncertain', uncertain, 'error_code', error_code, 'attempts', attempts,
  'trace_id', trace_id, 'payload_excerpt', excerpt, 'died_at', died_at, 'replay_at', replay_at)
FROM lakefront.dead_letters WHERE tenant_id = $1 AND letter_id = ANY($2) AND state = 'WAITING'
"""

_WITH_OLD: Final = """
SELECT coalesce(json_agg(tenant_id), '[]') FROM (
  SELECT tenant_id FROM lakefront.outbox WHERE state = 'DONE' AND updated_at < now() - make_interval(secs => $1)
  UNION
  SELECT tenant_id FROM lakefront.dead_letters
  WHERE state <> 'WAITING' AND decided_at < now() - make_interval(secs => $2)) old
"""

_FORGET: Final = """
DELETE FROM lakefront.outbox WHERE tenant_id = $1 AND job_id IN (
  SELECT job_id FROM lakefront.outbox WHERE tenant_id = $1 AND state = 'DONE'
    AND updated_at < now() - make_interval(secs => $2) LIMIT 1000)
"""

_FORGET_DECIDED: Final = """
WITH old AS (
  DELETE FROM lakefront.dead_letters WHERE tenant_id = $1 AND letter_id IN (
    SELECT letter_id FROM lakefront.dead_letters WHERE tenant_id = $1 AND state <> 'WAITING'
      AND decided_at < now() - make_interval(secs => $2) LIMIT 1000)
  RETURNING job_id)
DELETE FROM lakefront.outbox o WHERE tenant_id = $1 AND state = 'DEAD' AND due_at IS NULL
  AND job_id IN (SELECT job_id FROM old)
  AND NOT EXISTS (SELECT FROM lakefront.dead_letters w
    WHERE w.tenant_id = $1 AND w.job_id = o.job_id AND w.state = 'WAITING')
"""

_PUT: Final = """
redis.call('DEL', KEYS[1])
for i = 2, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('SET', KEYS[2], ARGV[1])
"""

_GONE: Final = (RedisError, OSError, TimeoutError, RuntimeError)

_log = logging.getLogger(__name__)


class Sweeper:
    """One a server; what it does may be done twice."""

    def __init__(self, provisioner: Database, database: Database, redis: "Redis | None", pace: Pace) -> None:
        self._provisioner = provisioner
        self._database = database
        self._redis = redis
        self._put = redis.register_script(_PUT) if redis is not None else None
        self._pace = pace
        self.stale = True
        """Whether dead letters may have come or gone."""

    async def run(self, *, listing: bool, thoroughly: bool) -> None:
        """Let Redis list what waits, if it is there; ``thoroughly``: forget what was done or decided long ago.

        Raises ``Unavailable``.
        """
        if listing:
            self.stale = False
            await self._list_all()
        if thoroughly:
            await self._forget()

    async def _forget(self) -> None:
        done, decided = self._pace.keep_done, self._pace.keep_decided
        for tenant in msgspec.json.decode(await self._provisioner.text(_WITH_OLD, done, decided), type=list[str]):
            async with self._database.transaction(tenant) as transaction:
                await transaction.execute(_FORGET, tenant, done)
                await transaction.execute(_FORGET_DECIDED, tenant, decided)

    async def _list_all(self) -> None:
        """Write those lists that are not as they should be."""
        if self._redis is None:
            return
        marks = msgspec.json.decode(await self._provisioner.text(_MARKS), type=list[tuple[str, int, str]])
        try:
            for provider, waiting, mark in marks:
                name = listed_at(provider)
                written, length = await self._redis.get(_mark(name)), await self._redis.llen(name)
                if written != mark.encode() or length != min(waiting, MOST_LISTED):
                    await self._list(provider, mark)
        except _GONE:
            _log.debug("Redis is away: its lists of dead letters are written when it is back")

    async def _list(self, provider: str, mark: str) -> None:
        assert self._put is not None
        name = listed_at(provider)
        letters = await self._letters(provider)
        await self._put(keys=[name, _mark(name)], args=[mark, *letters])

    async def _letters(self, provider: str) -> list[bytes]:
        """What the list shows: which there are is asked of all tenants, what they say tenant by tenant."""
        text = await self._provisioner.text(_WAITING, provider, MOST_LISTED)
        order = msgspec.json.decode(text, type=list[tuple[str, UUID]])
        by_tenant: defaultdict[str, list[UUID]] = defaultdict(list)
        for tenant, letter_id in order:
            by_tenant[tenant].append(letter_id)
        found: dict[UUID, bytes] = {}
        for tenant, ids in by_tenant.items():
            found |= await self._of_tenant(tenant, ids)
        return [found[letter_id] for _, letter_id in order if letter_id in found]

    async def _of_tenant(self, tenant: str, ids: Sequence[UUID]) -> dict[UUID, Any]:
        async with self._database.transaction(tenant) as transaction:
            return dict(await transaction.fetch(_LETTERS, tenant, list(ids)))


def listed_at(provider: str) -> str:
    """The name of the provider's list in Redis (C12)."""
    return f"dlq:{provider}"


def _mark(name: str) -> str:
    """Where it stands which state of PostgreSQL a list shows; of the list's own slot in a cluster."""
    return f"lakefront:{{{name}}}:mark"
