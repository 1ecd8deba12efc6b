"""Service requests, their history, and who reported them."""

from alembic import op

from lakefront.db.row_security import secured

revision = "0007"
down_revision = "0006"

_TABLES = (
    """
CREATE TABLE lakefront.service_requests (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  request_id text NOT NULL,
  city text NOT NULL,
  provider text NOT NULL,
  source text NOT NULL CHECK (source IN ('lakefront', 'open_data')),
  owner text,
  state text NOT NULL
    CHECK (state IN ('PENDING_EXTERNAL', 'UNCERTAIN', 'OPEN', 'IN_PROGRESS', 'CLOSED', 'REJECTED')),
  state_at timestamptz NOT NULL,
  told_at timestamptz,
  external_id text,
  external_token text,
  external_status text,
  agency text,
  agency_name text,
  service_code text,
  complaint_type text,
  descriptor text,
  description text,
  location_type text,
  address text,
  street_name text,
  postal_code text,
  borough text,
  community_board text,
  latitude double precision,
  longitude double precision,
  channel text,
  resolution text,
  resolution_at timestamptz,
  reported_at timestamptz NOT NULL,
  filed_at timestamptz,
  closed_at timestamptz,
  expected_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now(),
  checked_at timestamptz,
  version bigint NOT NULL,
  test boolean NOT NULL,
  error_code text,
  error_message text,
  trace_id text NOT NULL,
  attributes jsonb NOT NULL,
  media_url text,
  PRIMARY KEY (tenant_id, request_id),
  CHECK ((latitude IS NULL) = (longitude IS NULL))
)
""",
    """
CREATE TABLE lakefront.service_request_changes (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  request_id text NOT NULL,
  version bigint NOT NULL,
  event_type text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  cause text NOT NULL,
  changed_by text,
  on_behalf_of text,
  owner text,
  previous_state text,
  state text NOT NULL,
  fields text[] NOT NULL,
  payload jsonb NOT NULL,
  trace_id text NOT NULL,
  PRIMARY KEY (tenant_id, request_id, version)
)
""",
    """
CREATE TABLE lakefront.service_request_callers (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  request_id text NOT NULL,
  first_name text,
  last_name text,
  phone text,
  email text,
  created_at timestamptz NOT NULL DEFAULT now(),
  notify boolean NOT NULL DEFAULT false,
  ended_at timestamptz,
  ended_shard integer,
  ended_offset bigint,
  PRIMARY KEY (tenant_id, request_id)
)
""",
    """
CREATE TABLE lakefront.service_request_relay (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  place bigint GENERATED ALWAYS AS IDENTITY,
  request_id text NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (tenant_id, place)
)
""",
)

_INDEXES = (
    "service_requests_by_owner ON lakefront.service_requests (tenant_id, owner, reported_at) WHERE owner IS NOT NULL",
    "service_requests_by_state ON lakefront.service_requests (tenant_id, state, updated_at)",
    "service_requests_by_complaint ON lakefront.service_requests (tenant_id, complaint_type, borough, reported_at)",
    "service_requests_by_reported_at ON lakefront.service_requests (tenant_id, reported_at, request_id)",
    "service_requests_by_city ON lakefront.service_requests (tenant_id, city, state, checked_at)",
    "service_requests_by_latitude ON lakefront.service_requests (tenant_id, latitude, longitude)",
    # What is built near a request: permits by their addresses' points.
    "permit_addresses_by_latitude ON lakefront.permit_addresses (tenant_id, latitude, longitude)",
    "service_requests_by_external_id ON lakefront.service_requests (tenant_id, external_id)",
    """service_request_callers_ended ON lakefront.service_request_callers (tenant_id, ended_at)
    WHERE ended_at IS NOT NULL""",
    """service_requests_to_poll ON lakefront.service_requests (tenant_id, provider, city, checked_at)
    WHERE source = 'lakefront' AND state IN ('OPEN', 'IN_PROGRESS')""",
)

_POLLED = "tenant_id, provider, city, source, state, external_id, external_token, filed_at, checked_at"

_GRANTS = (
    "GRANT SELECT, INSERT, UPDATE ON lakefront.service_requests TO lakefront_app",
    "GRANT SELECT, INSERT ON lakefront.service_request_changes TO lakefront_app",
    "GRANT SELECT, INSERT, DELETE ON lakefront.service_request_callers TO lakefront_app",
    """GRANT UPDATE (first_name, last_name, ended_at, ended_shard, ended_offset)
    ON lakefront.service_request_callers TO lakefront_app""",
    "GRANT SELECT, INSERT, DELETE ON lakefront.service_request_relay TO lakefront_app",
    # Which tenants have something to be polled, relayed or forgotten; not what.
    "CREATE POLICY provisioner ON lakefront.service_requests FOR SELECT TO lakefront_provisioner USING (true)",
    "CREATE POLICY provisioner ON lakefront.service_request_callers FOR SELECT TO lakefront_provisioner USING (true)",
    "CREATE POLICY provisioner ON lakefront.service_request_relay FOR SELECT TO lakefront_provisioner USING (true)",
    f"GRANT SELECT ({_POLLED}) ON lakefront.service_requests TO lakefront_provisioner",
    "GRANT SELECT (tenant_id, created_at, ended_at) ON lakefront.service_request_callers TO lakefront_provisioner",
    "GRANT SELECT (tenant_id) ON lakefront.service_request_relay TO lakefront_provisioner",
)

_OWNERS = {
    "service_requests": "owner",
    "service_request_changes": "owner",
    "service_request_callers": None,
    "service_request_relay": None,
}


def upgrade() -> None:
    """Make it."""
    for statement in (*_TABLES, *(f"CREATE INDEX {index}" for index in _INDEXES)):
        op.execute(statement)
    for name, owner in _OWNERS.items():
        for statement in secured(f"lakefront.{name}", owner=owner):
            op.execute(statement)
        op.execute(f"ALTER TABLE lakefront.{name} OWNER TO lakefront_owner")
    for statement in _GRANTS:
        op.execute(statement)


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP INDEX lakefront.permit_addresses_by_latitude")
    for name in reversed(_OWNERS):
        op.execute(f"DROP TABLE lakefront.{name}")
