"""Roles, the log, the permits' projection, access.

Three roles, none of which can log in: the server's user takes them on. ``lakefront_owner`` owns the tables,
``lakefront_appender`` owns the three of the log (``COPY FROM`` does not work under row security, so row security is
enabled there but not forced), ``lakefront_app`` owns nothing and reads and writes under forced row security.
"""

from alembic import op

revision = "0001"
down_revision = None

_ROLES = """
DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['lakefront_owner', 'lakefront_appender', 'lakefront_app'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- roles belong to the whole cluster: another database's migration was first
      END;
    END IF;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
      EXECUTE format('GRANT %I TO CURRENT_USER WITH SET TRUE, INHERIT TRUE', name);
    END IF;
  END LOOP;
END $$
"""

_LOG = """
CREATE TABLE lakefront.events (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  stream text NOT NULL,
  shard smallint NOT NULL,
  "offset" bigint NOT NULL,
  event_id text NOT NULL,
  event_type text NOT NULL,
  partition_key text NOT NULL,
  occurred_at timestamptz NOT NULL CHECK (occurred_at < '10000-01-01 00:00:00+00'),
  ingested_at timestamptz NOT NULL,
  payload jsonb NOT NULL,
  trace_id text NOT NULL,
  correlation_id text,
  schema_version text NOT NULL,
  source text NOT NULL,
  PRIMARY KEY (tenant_id, stream, shard, "offset")
);
CREATE INDEX events_by_key ON lakefront.events (tenant_id, stream, partition_key, occurred_at, shard, "offset");
CREATE INDEX events_by_time ON lakefront.events (tenant_id, stream, occurred_at, shard, "offset");
CREATE TABLE lakefront.event_keys (
  generation date NOT NULL,
  tenant_id text NOT NULL,
  dedupe uuid NOT NULL,
  body uuid NOT NULL,
  shard smallint NOT NULL,
  "offset" bigint NOT NULL
) PARTITION BY RANGE (generation);
CREATE TABLE lakefront.heads (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  stream text NOT NULL,
  shard smallint NOT NULL,
  layout smallint NOT NULL,
  next bigint NOT NULL,
  PRIMARY KEY (tenant_id, stream, shard)
);
CREATE TABLE lakefront.consumer_offsets (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  consumer text NOT NULL,
  stream text NOT NULL,
  shard smallint NOT NULL,
  next bigint NOT NULL,
  PRIMARY KEY (tenant_id, consumer, stream, shard)
);
"""

_PERMITS = """
CREATE TABLE lakefront.permits (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  permit_id text NOT NULL,
  status text,
  status_at timestamptz,
  type text,
  type_code text,
  description text,
  created_on date,
  filed_at timestamptz,
  issued_at timestamptz,
  completed_at timestamptz,
  expires_at timestamptz,
  first_construction_document_at timestamptz,
  last_activity_at timestamptz,
  estimated_cost integer,
  revised_cost integer,
  existing_use text,
  proposed_use text,
  existing_units integer,
  proposed_units integer,
  units integer GENERATED ALWAYS AS (coalesce(proposed_units, existing_units)) STORED,
  existing_stories integer,
  proposed_stories integer,
  stories integer GENERATED ALWAYS AS (coalesce(proposed_stories, existing_stories)) STORED,
  existing_occupancy text,
  proposed_occupancy text,
  existing_construction_type text,
  existing_construction_type_description text,
  proposed_construction_type text,
  proposed_construction_type_description text,
  plansets integer,
  structural_notification boolean,
  voluntary_soft_story_retrofit boolean,
  fire_only boolean,
  site_permit boolean,
  adu boolean,
  tidf_compliance text,
  submission_method text,
  neighborhood text,
  supervisor_district integer,
  zipcode text,
  inspector text,
  inspection_type text,
  inspection_scheduled_at timestamptz,
  inspection_completed_at timestamptz,
  inspection_result text,
  updated_at timestamptz NOT NULL,
  field_versions jsonb NOT NULL,
  PRIMARY KEY (tenant_id, permit_id)
);
CREATE INDEX permits_by_neighborhood ON lakefront.permits (tenant_id, neighborhood, estimated_cost, permit_id);
CREATE INDEX permits_by_status ON lakefront.permits (tenant_id, status, status_at, permit_id);
CREATE INDEX permits_by_filed_at ON lakefront.permits (tenant_id, filed_at, permit_id);
CREATE INDEX permits_by_estimated_cost ON lakefront.permits (tenant_id, estimated_cost, permit_id);
CREATE TABLE lakefront.permit_addresses (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  permit_id text NOT NULL,
  address_id text NOT NULL,
  block text,
  lot text,
  street_number text,
  street_number_suffix text,
  street_name text,
  street_suffix text,
  unit text,
  unit_suffix text,
  "primary" boolean NOT NULL,
  neighborhood text,
  supervisor_district integer,
  zipcode text,
  latitude double precision CHECK (latitude BETWEEN -90 AND 90),
  longitude double precision CHECK (longitude BETWEEN -180 AND 180),
  point_source text,
  occurred_at timestamptz NOT NULL,
  rank smallint NOT NULL,
  "offset" bigint NOT NULL,
  PRIMARY KEY (tenant_id, permit_id, address_id)
);
CREATE INDEX permit_addresses_by_lot ON lakefront.permit_addresses (tenant_id, block, lot);
"""

_ACCESS = """
CREATE TABLE lakefront.signing_keys (
  kid text PRIMARY KEY,
  public_jwk jsonb NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE TABLE lakefront.ingest_tokens (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  token_id uuid NOT NULL,
  stream text NOT NULL,
  sha256 bytea NOT NULL UNIQUE,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  PRIMARY KEY (tenant_id, token_id)
);
CREATE INDEX ingest_tokens_by_stream ON lakefront.ingest_tokens (tenant_id, stream, created_at);
CREATE TABLE lakefront.idempotency_keys (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  subject text NOT NULL,
  operation text NOT NULL,
  key text NOT NULL,
  body uuid NOT NULL,
  result jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, subject, operation, key)
);
CREATE INDEX idempotency_keys_by_age ON lakefront.idempotency_keys (tenant_id, created_at);
"""

_LOG_TABLES = ("events", "event_keys", "heads")
_APP_TABLES = ("consumer_offsets", "permits", "permit_addresses", "ingest_tokens", "idempotency_keys")


def upgrade() -> None:
    """Make all of it."""
    op.execute(_ROLES)
    op.execute("GRANT USAGE, CREATE ON SCHEMA lakefront TO lakefront_owner, lakefront_appender")
    op.execute("GRANT USAGE ON SCHEMA lakefront TO lakefront_app")
    for part in (_LOG, _PERMITS, _ACCESS):
        for statement in part.split(";\n"):
            if statement.strip():
                op.execute(statement)
    for table in (*_LOG_TABLES, *_APP_TABLES):
        op.execute(f"ALTER TABLE lakefront.{table} ENABLE ROW LEVEL SECURITY")
        # The sub-select makes it a one-time check; the bare call is planned while the tenant is unset: wrong indexes.
        mine = "(tenant_id = (SELECT current_setting('lakefront.tenant', true)))"
        op.execute(f"CREATE POLICY tenant ON lakefront.{table} USING {mine} WITH CHECK {mine}")
    for table in _LOG_TABLES:
        op.execute(f"ALTER TABLE lakefront.{table} OWNER TO lakefront_appender")
    op.execute("GRANT SELECT ON lakefront.events, lakefront.heads TO lakefront_app")
    for table in _APP_TABLES:
        op.execute(f"ALTER TABLE lakefront.{table} FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE lakefront.{table} OWNER TO lakefront_owner")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.{table} TO lakefront_app")
    op.execute("ALTER TABLE lakefront.signing_keys OWNER TO lakefront_owner")
    op.execute("GRANT SELECT, INSERT ON lakefront.signing_keys TO lakefront_app")


def downgrade() -> None:
    """Remove all of it; the roles stay, as other databases of the cluster may use them."""
    for table in (*_LOG_TABLES, *reversed(_APP_TABLES), "signing_keys"):
        op.execute(f"DROP TABLE lakefront.{table} CASCADE")
    for role in ("lakefront_owner", "lakefront_appender", "lakefront_app"):
        op.execute(f"REVOKE ALL ON SCHEMA lakefront FROM {role}")
