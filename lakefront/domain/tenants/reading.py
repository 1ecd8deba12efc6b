"""What a tenant may use and has used, read from PostgreSQL: nothing of it is counted where events come in.

The events of a UTC day are what the heads have beyond ``events_before`` of the day's row. Whoever needs that row first
makes it, be that hours after midnight: ``events_before`` is looked up in the log, where events are in the order of
their arrival, so that it is the same whoever makes it and whenever, and nobody need be awake at midnight.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import Any, Final, NamedTuple

import orjson

from lakefront.db.database import Database, Transaction

RESUM: Final = 3600.0
"""Seconds after which the manifest is summed anew from its beginning, whatever was done to it meanwhile."""

_MAKE_DAY: Final = """
INSERT INTO tenants.tenant_usage_quotas (tenant_id, usage_date, events_before)
WITH RECURSIVE search (stream, shard, low, high) AS (
  SELECT stream, shard, first, next FROM lakefront.heads WHERE tenant_id = $1
  UNION ALL
  SELECT s.stream, s.shard, CASE WHEN p.earlier THEN s.middle + 1 ELSE s.low END,
    CASE WHEN p.earlier THEN s.high ELSE s.middle END
  FROM (SELECT *, (low + high) / 2 AS middle FROM search WHERE low < high) s
  CROSS JOIN LATERAL (
    SELECT coalesce((SELECT e.ingested_at < $3 FROM lakefront.events e
      WHERE e.tenant_id = $1 AND e.stream = s.stream AND e.shard = s.shard AND e."offset" = s.middle), true) AS earlier
  ) p
)
SELECT $1, $2, coalesce(sum(low), 0) FROM search WHERE low = high
ON CONFLICT DO NOTHING
"""
"""A binary search in each shard for the first event that arrived on the day, one look at the primary key a step. What
was trimmed from the hot log is taken as older."""

_READ: Final = """
SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN coalesce((SELECT row_to_json(q) FROM (
  SELECT s.plan, s.daily_pipelines, s.daily_events, s.daily_requests, s.storage_bytes,
    d.pipelines_started, d.events_before,
    (SELECT coalesce(sum(next), 0)::bigint FROM lakefront.heads WHERE tenant_id = $1) AS events,
    CASE WHEN $3 OR s.storage_bytes IS NOT NULL THEN (
      SELECT coalesce(json_agg(row_to_json(o)), '[]') FROM (
        SELECT p.stream, p.shard, s.until, s.bytes FROM (
          SELECT h.stream, h.shard, coalesce(k.until, 0) AS until FROM lakefront.heads h
          LEFT JOIN unnest($4::text[], $5::smallint[], $6::bigint[]) AS k(stream, shard, until)
            ON k.stream = h.stream AND k.shard = h.shard
          WHERE h.tenant_id = $1 OFFSET 0) p
        CROSS JOIN LATERAL (
          SELECT max(until_offset) AS until, sum(stored_bytes)::bigint AS bytes FROM lakefront.lake_objects o
          WHERE o.tenant_id = $1 AND o.stream = p.stream AND o.shard = p.shard AND o.from_offset >= p.until) s
        WHERE s.until IS NOT NULL) o) END AS stored
  FROM tenants.tenant_subscriptions s
  LEFT JOIN tenants.tenant_usage_quotas d ON d.tenant_id = $1 AND d.usage_date = $2
  WHERE s.tenant_id = $1) q), 'null') END
"""
"""Of the manifest only what is newer than the last look. OFFSET 0: see ``domain/pipelines.py``."""


class Bounds(NamedTuple):
    """A tenant's quotas, as its subscription has them; None does not bound."""

    pipelines: int
    events: int | None
    requests: int | None
    storage_bytes: int | None


class Reading(NamedTuple):
    """What a tenant had used of ``day`` when it was read; ``storage_bytes`` None: nobody wanted to know."""

    day: date
    plan: str
    bounds: Bounds
    pipelines: int
    events: int
    storage_bytes: int | None


@dataclass(slots=True)
class Sums:
    """The tenant's sealed objects, summed: the manifest only grows, so that the rest is added. Shard -> (until, bytes).

    Two readings at once must not share one.
    """

    began: float = field(default_factory=time.monotonic)
    shards: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Add what a reading found beyond what was known."""
        for row in rows:
            _, known = self.shards.get((row["stream"], row["shard"]), (0, 0))
            self.shards[row["stream"], row["shard"]] = row["until"], known + row["bytes"]

    @property
    def stored_bytes(self) -> int:
        """Bytes of all objects as they are stored."""
        return sum(stored for _, stored in self.shards.values())


async def make_day(transaction: Transaction, tenant: str, day: date) -> None:
    """Make the day's row of ``tenant``, which the transaction is of, unless there is one."""
    await transaction.execute(_MAKE_DAY, tenant, day, datetime.combine(day, time_of_day(), UTC))


async def read(database: Database, tenant: str, day: date, sums: Sums, *, storage: bool) -> Reading | None:
    """What ``tenant`` has used of ``day``, in one statement; None for one without a subscription.

    ``storage``: also where the plan does not bound it. Raises ``Unavailable``.
    """
    found = await _read(database, tenant, day, sums, storage=storage)
    if found is not None and found["events_before"] is None:
        async with database.transaction(tenant) as transaction:
            await make_day(transaction, tenant, day)
        found = await _read(database, tenant, day, sums, storage=storage)
    if found is None:
        return None
    if found["stored"] is not None:
        sums.add(found["stored"])
    return Reading(
        day,
        found["plan"],
        Bounds(found["daily_pipelines"], found["daily_events"], found["daily_requests"], found["storage_bytes"]),
        found["pipelines_started"],
        found["events"] - found["events_before"],
        None if found["stored"] is None else sums.stored_bytes,
    )


async def _read(database: Database, tenant: str, day: date, sums: Sums, *, storage: bool) -> Any:
    streams, shards, until = [], [], []
    for (stream, shard), (known, _) in sums.shards.items():
        streams.append(stream)
        shards.append(shard)
        until.append(known)
    return orjson.loads(await database.text(_READ, tenant, day, storage, streams, shards, until))
