"""Trim the hot log: what every consumer has taken in and the lake has sealed need not lie in PostgreSQL, too.

Nothing calls it by itself: for now the hot log keeps everything (DESIGN.md). After it, the query ``permitEvents`` and a
permit's ``events`` show what is left; followers, readers and a projection's rebuild take the rest from the lake.
"""

from collections.abc import Collection, Mapping

import msgspec

from lakefront.db.database import Database
from lakefront.errors import ValidationError
from lakefront.eventlog.postgres.connections import Connections

STEP = 5000
"""Events that one transaction deletes, so that none is long."""

_MAY_GO = """
SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN (
  SELECT coalesce(json_agg(json_build_array(
    shard,
    (SELECT CASE WHEN sum(until_offset - from_offset) = max(until_offset) THEN max(until_offset) ELSE 0 END
     FROM lakefront.lake_objects o WHERE o.tenant_id = $1 AND o.stream = $2 AND o.shard = h.shard),
    (SELECT CASE WHEN count(*) FILTER (WHERE consumer = ANY($3)) < cardinality($3) THEN 0 ELSE min(next) END
     FROM lakefront.consumer_offsets c
     WHERE c.tenant_id = $1 AND c.stream = $2 AND c.shard = h.shard))), '[]')
  FROM lakefront.heads h WHERE tenant_id = $1 AND stream = $2) END
"""
# Objects of a shard follow one another without gap or overlap exactly if their lengths add up to the last one's end.
# A consumer that has to pass has no row before its first event: it is at 0.

_MOVE = """
UPDATE lakefront.heads SET first = greatest(first, $4)
WHERE tenant_id = $1 AND stream = $2 AND shard = $3 AND $4 <= next
RETURNING first
"""

_DELETE = """
WITH gone AS (
  DELETE FROM lakefront.events
  WHERE tenant_id = $1 AND stream = $2 AND shard = $3 AND "offset" < least($4, $5 + (
    SELECT "offset" FROM lakefront.events WHERE tenant_id = $1 AND stream = $2 AND shard = $3
    ORDER BY "offset" LIMIT 1))
  RETURNING 1)
SELECT count(*) FROM gone
"""

_bounds = msgspec.json.Decoder(list[tuple[int, int | None, int | None]])


async def trim(
    connections: Connections,
    database: Database,
    tenant: str,
    stream: str,
    first: Mapping[int, int],
    *,
    consumers: Collection[str] = (),
) -> int:
    """Delete the events of ``stream`` before ``first`` (shard -> offset) from the hot log; how many.

    ``consumers`` must have passed an offset, even one that never began; any other that began must have, too.

    First the heads say what is gone, then it goes in steps: a reader never sees a part of it missing, and what is left
    of a trim that was cut short goes with the next. Raises ``ValidationError``, before anything is changed, for an
    offset that the lake or a consumer has not reached; ``Unavailable`` when PostgreSQL is away.
    """
    may_go = await database.text(_MAY_GO, tenant, stream, sorted(set(consumers)))
    found = {shard: bounds for shard, *bounds in _bounds.decode(may_go)}
    for shard, offset in first.items():
        sealed, taken = found.get(shard, (None, None))
        if offset > (sealed or 0):
            raise _refused(shard, offset, f"the lake has, without a gap, only what lies before {sealed or 0}")
        if taken is not None and offset > taken:
            raise _refused(shard, offset, f"a consumer has taken in only what lies before {taken}")
    return sum([await _trim_shard(connections, (tenant, stream, shard), offset) for shard, offset in first.items()])


async def _trim_shard(connections: Connections, key: tuple[str, str, int], first: int) -> int:
    async with connections.acquire() as connection:
        moved = await connection.fetchval(_MOVE, *key, first)
    gone = 0
    while True:
        async with connections.acquire() as connection:
            count = await connection.fetchval(_DELETE, *key, moved, STEP)
        if not count:
            return gone
        gone += count


def _refused(shard: int, offset: int, why: str) -> ValidationError:
    return ValidationError(f"Shard {shard} cannot be trimmed to offset {offset}: {why}. Trim to a lower offset.")
