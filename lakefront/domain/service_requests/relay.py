"""Tells the log what became of requests, in their order, each change once (C15, X1).

A change waits in ``service_request_relay`` from the transaction that made it on. Its event follows from its row alone,
id and all: killed between the log's word and its own, the relay appends it again, and the log knows it.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

from lakefront.actor import system_actor
from lakefront.db.database import Transaction
from lakefront.domain.service_requests.request import STREAM, Origin
from lakefront.domain.service_requests.states import ENDED
from lakefront.domain.services import Services
from lakefront.errors import Unavailable, loggable
from lakefront.eventlog.events import Appended, NewEvent, Outcome
from lakefront.eventlog.lake.locks import Locks
from lakefront.eventlog.pace import Bell, Rests

BATCH: Final = 1000
"""Changes that are told at a time."""

LOCK: Final = "service requests' relay"

_TENANTS: Final = """
WITH RECURSIVE found AS (
  (SELECT tenant_id FROM lakefront.service_request_relay ORDER BY tenant_id LIMIT 1)
  UNION ALL
  SELECT n.tenant_id FROM found CROSS JOIN LATERAL (
    SELECT tenant_id FROM lakefront.service_request_relay r WHERE r.tenant_id > found.tenant_id
    ORDER BY tenant_id LIMIT 1) n)
SELECT coalesce(json_agg(tenant_id), '[]') FROM found
"""
# From tenant to tenant by the index: an import leaves very many changes of one.

_DUE: Final = """
SELECT d.place, c.request_id, c.version, c.event_type, c.changed_at, c.payload, c.trace_id
FROM (SELECT * FROM lakefront.service_request_relay WHERE tenant_id = $1 ORDER BY place LIMIT $2) d
JOIN lakefront.service_request_changes c
  ON c.tenant_id = $1 AND c.request_id = d.request_id AND c.version = d.version
ORDER BY d.place
"""
_TOLD: Final = "DELETE FROM lakefront.service_request_relay WHERE tenant_id = $1 AND place = ANY($2::bigint[])"

_ENDED: Final = """
UPDATE lakefront.service_request_callers c SET ended_at = now(), ended_shard = e.shard, ended_offset = e."offset"
FROM unnest($2::text[], $3::int[], $4::bigint[]) AS e (request_id, shard, "offset")
WHERE c.tenant_id = $1 AND c.request_id = e.request_id AND c.notify AND c.ended_at IS NULL
"""

_log = logging.getLogger(__name__)


class Relay:
    """One of all servers tells the log; the others look whether it is gone. ``notice``: the listener's word."""

    def __init__(self, services: Services, locks: Locks, *, poll: float) -> None:
        """``poll``: seconds between looks without a notice."""
        self._services = services
        self._locks = locks
        self._poll = poll
        self._bell = Bell()
        self._rests = Rests(poll)

    def notice(self, _tenant: str = "") -> None:
        """Requests changed, on any server; or notices were lost."""
        self._bell.ring()

    async def run(self) -> None:
        """Relay for ever; what fails holds up its own tenant alone, and is tried again."""
        while True:
            self._bell.quiet()
            more = False
            try:
                more = await self.step()
            except Unavailable:
                _log.info("service requests are not told to the log: PostgreSQL is away")
            except Exception:  # noqa: BLE001 - the worker must outlive it
                _log.exception("the relay of service requests failed")
            if not more:
                await self._bell.wait(self._poll)

    async def step(self) -> bool:
        """Tell a batch of each tenant's, unless another server is at it; whether there may be more."""
        tenants = msgspec.json.decode(await self._services.provisioner.text(_TENANTS), type=list[str])
        if not tenants:
            return False
        async with self._locks.hold(LOCK) as held:
            return held and any([await self._turn(tenant) for tenant in tenants])

    async def _turn(self, tenant: str) -> bool:
        if self._rests.has(tenant):
            return False
        try:
            more = await self._tell(tenant)
        except Unavailable:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever it is, it holds up no other tenant
            _log.error("service requests of %s are not told to the log: %s", tenant, loggable(failure))
            self._rests.begin(tenant)
            return False
        self._rests.end(tenant)
        return more

    async def _tell(self, tenant: str) -> bool:
        """Tell the tenant's next batch; whether there may be more."""
        async with self._services.database.transaction(tenant) as transaction:
            rows = await transaction.fetch(_DUE, tenant, BATCH)
        if not rows:
            return False
        appended = await self._services.log.append(system_actor(tenant), STREAM, [_event(row) for row in rows])
        for row, verdict in zip(rows, appended, strict=True):
            if verdict.outcome is Outcome.CONFLICT:
                # The log keeps what it has: to hold up all others for it would mend nothing.
                _log.error("the log has another change %s of request %s", row["version"], row["request_id"])
        ends = {
            row["request_id"]: verdict for row, verdict in zip(rows, appended, strict=True) if _is_end(row["payload"])
        }
        async with self._services.database.transaction(tenant) as transaction:
            if ends:
                await _note_ends(transaction, tenant, ends)
            await transaction.execute(_TOLD, tenant, [row["place"] for row in rows])
        return len(rows) == BATCH


def _is_end(told: Mapping[str, Any]) -> bool:
    """Whether a request of ours has ended; what its city refused may still be filed, by somebody who corrects it."""
    refused = "filedAt" not in told and "errorCode" in told
    return told.get("source") == Origin.LAKEFRONT and told.get("state") in ENDED and not refused


async def _note_ends(transaction: Transaction, tenant: str, ends: Mapping[str, Appended]) -> None:
    """Note where the log has the ends of requests: whoever asked to be told of them is forgotten once they were."""
    shards, offsets = [end.shard for end in ends.values()], [end.offset for end in ends.values()]
    await transaction.execute(_ENDED, tenant, list(ends), shards, offsets)


def _event(row: Mapping[str, Any]) -> NewEvent:
    """The event of a change, which follows from its row alone."""
    return NewEvent(
        event_id=f"{row['request_id']}:{row['version']}",
        event_type=row["event_type"],
        partition_key=row["request_id"],
        occurred_at=row["changed_at"],
        payload=orjson.dumps(row["payload"], option=orjson.OPT_SORT_KEYS),
        trace_id=row["trace_id"],
    )
