"""The rows: 100,000 permits and 1,000,000 events of theirs, made up in PostgreSQL in about a minute."""

from pathlib import Path
from typing import Final

import asyncpg

from lakefront.actor import CITY
from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.migrate import migrate
from lakefront.eventlog.cursors import LAYOUT
from lakefront.eventlog.lake.manifest import CONSUMER as SEALER
from lakefront.eventlog.projections.permits import PERMITS as PROJECTION
from lakefront.server.demo import words

PERMITS: Final = 100_000
EVENTS_EACH: Final = 10

NEIGHBORHOODS: Final = [one.name for one in words.NEIGHBORHOODS]
STATUSES: Final = ["filed", "approved", "issued", "complete", "expired", "cancelled", "suspend", "reinstated"]

POSTGRAPHILE_ROLE: Final = "bench_postgraphile"
"""PostGraphile's own login: it owns nothing, so that the tables' policies hold for it as for ``lakefront_app``."""

_MADE: Final = "made"

_PERMITS: Final = """
INSERT INTO lakefront.permits (tenant_id, permit_id, status, status_at, type, type_code, description, created_on,
  filed_at, issued_at, last_activity_at, estimated_cost, revised_cost, existing_use, proposed_use, existing_units,
  proposed_units, existing_stories, proposed_stories, plansets, neighborhood, supervisor_district, zipcode,
  updated_at, field_versions)
SELECT $1, 'PRM' || to_char(filed, 'YYYY') || '-' || lpad(n::text, 6, '0'),
  ($2::text[])[1 + n * 7919 % cardinality($2::text[])], filed + n % 400 * interval '11 hours',
  ($3::text[])[1 + n % cardinality($3::text[])], (1 + n % 8)::text, ($4::text[])[1 + n * 31 % cardinality($4::text[])],
  filed::date, filed, filed + interval '20 days', filed + interval '90 days',
  1000 + (n::bigint * 48271 % 2147483647 % 900000)::int, 1000 + (n::bigint * 69621 % 2147483647 % 900000)::int,
  ($5::text[])[1 + n % cardinality($5::text[])], ($5::text[])[1 + n / 3 % cardinality($5::text[])], n % 50, n % 52,
  1 + n % 6, 1 + n % 7, n % 5, ($6::text[])[1 + n * 13 % cardinality($6::text[])],
  ($7::int[])[1 + n * 13 % cardinality($6::text[])], ($8::text[])[1 + n * 13 % cardinality($6::text[])],
  filed + interval '100 days', '{}'
FROM (SELECT n, '2022-01-03T08:00:00Z'::timestamptz + n * 14377 % 72000000 * interval '1 second' AS filed
  FROM generate_series(1, $9::int) n) made
"""

_EVENTS: Final = """
INSERT INTO lakefront.events (tenant_id, stream, shard, "offset", event_id, event_type, partition_key, occurred_at,
  ingested_at, payload, trace_id, correlation_id, schema_version, source)
SELECT tenant_id, $1, shard, row_number() OVER (PARTITION BY shard ORDER BY occurred_at, permit_id) - 1,
  'bench-' || permit_id || '-' || step, event_type, permit_id, occurred_at, occurred_at + interval '2 seconds',
  CASE WHEN event_type = 'permit_filed' THEN
    jsonb_build_object('description', description, 'estimatedCost', estimated_cost, 'neighborhood', neighborhood)
  ELSE jsonb_build_object('previousStatus', ($2::text[])[1 + step % cardinality($2::text[])], 'newStatus', status,
    'changedBy', 'DBI counter ' || step) END,
  md5(permit_id), NULL, '1', 'bench'
FROM (SELECT p.*, step, (hashtext(permit_id) & 1)::smallint AS shard,
    CASE step WHEN 0 THEN 'permit_filed' WHEN 2 THEN 'permit_issued' ELSE 'status_change' END AS event_type,
    filed_at + step * interval '9 days 1 hour' AS occurred_at
  FROM lakefront.permits p, generate_series(0, $3::int - 1) step) made
"""

_HEADS: Final = """
INSERT INTO lakefront.heads (tenant_id, stream, shard, layout, next)
SELECT tenant_id, stream, shard, $1, max("offset") + 1 FROM lakefront.events GROUP BY tenant_id, stream, shard
"""

_TAKEN_IN: Final = """
INSERT INTO lakefront.consumer_offsets (tenant_id, consumer, stream, shard, next)
SELECT tenant_id, consumer, stream, shard, next FROM lakefront.heads, unnest($1::text[]) consumer
"""
"""The projection and the sealer have nothing to do: their work belongs to no read's figures."""

_ROLE: Final = f"""
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{POSTGRAPHILE_ROLE}') THEN
    CREATE ROLE {POSTGRAPHILE_ROLE} LOGIN;
  END IF;
END $$;
GRANT USAGE ON SCHEMA lakefront TO {POSTGRAPHILE_ROLE};
GRANT SELECT ON lakefront.permits, lakefront.events TO {POSTGRAPHILE_ROLE};
"""


async def started(folder: Path) -> EmbeddedPostgres:
    """PostgreSQL as ``lakefront serve`` starts it, in ``folder``, with the rows: made if they are not there."""
    postgres = EmbeddedPostgres(folder / "postgres")
    await postgres.start()
    try:
        await migrate(postgres.dsn())
        if not (folder / _MADE).exists():
            await _fill(postgres.dsn())
            (folder / _MADE).touch()
    except BaseException:
        await postgres.stop()
        raise
    return postgres


async def permit_ids(dsn: str, count: int) -> list[str]:
    """So many permits' numbers, spread over all."""
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetch(
            "SELECT permit_id FROM lakefront.permits ORDER BY md5(permit_id) LIMIT $1", count
        )
    finally:
        await connection.close()
    return [row[0] for row in found]


async def _fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("TRUNCATE lakefront.permits, lakefront.events, lakefront.heads")
        places = words.NEIGHBORHOODS
        await connection.execute(
            _PERMITS,
            *(CITY, STATUSES, [text for _, text in words.TYPES], list(words.WORKS), [use for use, *_ in words.USES]),
            *(NEIGHBORHOODS, [one.district for one in places], [one.zipcode for one in places], PERMITS),
        )
        await connection.execute(_EVENTS, PROJECTION.stream, STATUSES, EVENTS_EACH)
        await connection.execute(_HEADS, LAYOUT)
        await connection.execute("DELETE FROM lakefront.consumer_offsets")
        await connection.execute(_TAKEN_IN, [PROJECTION.name, SEALER])
        await connection.execute(_ROLE)
        for statement in ("VACUUM ANALYZE", "CHECKPOINT"):
            await connection.execute(statement)
    finally:
        await connection.close()
