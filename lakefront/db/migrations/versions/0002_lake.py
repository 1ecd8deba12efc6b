"""The lake: intents, manifest, the hot log's first offset, the pipelines' minutes."""

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = """
CREATE TABLE lakefront.seal_intents (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  stream text NOT NULL,
  shard smallint NOT NULL,
  from_offset bigint NOT NULL,
  until_offset bigint NOT NULL CHECK (until_offset > from_offset),
  key text NOT NULL,
  compression text NOT NULL CHECK (compression IN ('gzip', 'zstd')),
  layout smallint NOT NULL,
  opened_at timestamptz NOT NULL,
  closed_at timestamptz NOT NULL DEFAULT now(),
  hour timestamptz NOT NULL,
  number integer NOT NULL CHECK (number > 0),
  PRIMARY KEY (tenant_id, stream, shard, from_offset),
  UNIQUE (tenant_id, stream, hour, number),
  UNIQUE (tenant_id, key)
);
CREATE TABLE lakefront.lake_objects (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  stream text NOT NULL,
  shard smallint NOT NULL,
  from_offset bigint NOT NULL,
  until_offset bigint NOT NULL CHECK (until_offset > from_offset),
  key text NOT NULL,
  compression text NOT NULL CHECK (compression IN ('gzip', 'zstd')),
  sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  stored_bytes bigint NOT NULL,
  raw_bytes bigint NOT NULL,
  event_count integer NOT NULL CHECK (event_count = until_offset - from_offset),
  opened_at timestamptz NOT NULL,
  sealed_at timestamptz NOT NULL,
  least_occurred_at timestamptz NOT NULL,
  greatest_occurred_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, stream, shard, from_offset),
  UNIQUE (tenant_id, key)
);
CREATE INDEX lake_objects_by_time ON lakefront.lake_objects (tenant_id, stream, opened_at, shard, from_offset);
CREATE INDEX lake_objects_by_sealing ON lakefront.lake_objects (tenant_id, stream, sealed_at);
CREATE TABLE lakefront.pipeline_minutes (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  stream text NOT NULL,
  minute timestamptz NOT NULL,
  writer text NOT NULL,
  requests bigint NOT NULL,
  failed_requests bigint NOT NULL,
  accepted bigint NOT NULL,
  duplicates bigint NOT NULL,
  rejected bigint NOT NULL,
  seconds double precision NOT NULL,
  PRIMARY KEY (tenant_id, stream, minute, writer)
);
"""

_NAMES = ("seal_intents", "lake_objects", "pipeline_minutes")


def upgrade() -> None:
    """Make all of it. ``heads.first``: what lies before it was trimmed and is in the lake alone."""
    op.execute("ALTER TABLE lakefront.heads ADD first bigint NOT NULL DEFAULT 0 CHECK (first BETWEEN 0 AND next)")
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    mine = "(tenant_id = (SELECT current_setting('lakefront.tenant', true)))"
    for table in _NAMES:
        op.execute(f"ALTER TABLE lakefront.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON lakefront.{table} USING {mine} WITH CHECK {mine}")
        op.execute(f"ALTER TABLE lakefront.{table} FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE lakefront.{table} OWNER TO lakefront_owner")
    op.execute("GRANT SELECT, INSERT ON lakefront.seal_intents, lakefront.lake_objects TO lakefront_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.pipeline_minutes TO lakefront_app")


def downgrade() -> None:
    """Remove it; objects stay where they are."""
    for table in _NAMES:
        op.execute(f"DROP TABLE lakefront.{table}")
    op.execute("ALTER TABLE lakefront.heads DROP first")
