"""Alerts: their rules, what fires and what became of it; what providers' days have left, whatever Redis forgets."""

from alembic import op

from lakefront.db.row_security import secured

revision = "0010"
down_revision = "0009"

_FINITE = "BETWEEN -1e300 AND 1e300"
# Neither NaN nor an infinity is within.

_TABLES = (
    f"""
CREATE TABLE lakefront.alert_rules (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  rule_id text NOT NULL,
  metric text NOT NULL,
  comparison text NOT NULL CHECK (comparison IN ('LT', 'LTE', 'GT', 'GTE')),
  threshold double precision NOT NULL CHECK (threshold {_FINITE}),
  for_seconds integer NOT NULL CHECK (for_seconds >= 0),
  level smallint NOT NULL CHECK (level BETWEEN 1 AND 3),
  provider text,
  enabled boolean NOT NULL,
  version bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by text NOT NULL,
  PRIMARY KEY (tenant_id, rule_id)
)
""",
    f"""
CREATE TABLE lakefront.alerts (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  alert_id text NOT NULL,
  dedup_key text NOT NULL,
  rule_id text NOT NULL,
  metric text NOT NULL,
  provider text NOT NULL,
  city text NOT NULL,
  level smallint NOT NULL CHECK (level BETWEEN 1 AND 3),
  summary text NOT NULL,
  state text NOT NULL CHECK (state IN ('FIRING', 'ACKNOWLEDGED', 'RESOLVED')),
  value double precision NOT NULL CHECK (value {_FINITE}),
  threshold double precision NOT NULL CHECK (threshold {_FINITE}),
  fired_at timestamptz NOT NULL,
  acknowledged_at timestamptz,
  acknowledged_by text,
  resolved_at timestamptz,
  resolved_by text,
  updated_at timestamptz NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (tenant_id, alert_id),
  CHECK ((state = 'RESOLVED') = (resolved_at IS NOT NULL))
)
""",
    # Whoever evaluates, and however many do: of one thing one alert is open.
    """
CREATE UNIQUE INDEX alerts_open ON lakefront.alerts (tenant_id, rule_id, provider, city) WHERE state <> 'RESOLVED'
""",
    "CREATE INDEX alerts_fired ON lakefront.alerts (tenant_id, fired_at, alert_id)",
    f"""
CREATE TABLE lakefront.alert_changes (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  alert_id text NOT NULL,
  version bigint NOT NULL,
  state text NOT NULL CHECK (state IN ('FIRING', 'ACKNOWLEDGED', 'RESOLVED')),
  value double precision NOT NULL CHECK (value {_FINITE}),
  changed_at timestamptz NOT NULL,
  changed_by text NOT NULL,
  trace_id text NOT NULL,
  published boolean NOT NULL DEFAULT false,
  PRIMARY KEY (tenant_id, alert_id, version)
)
""",
    """
CREATE INDEX alert_changes_unpublished ON lakefront.alert_changes (tenant_id, changed_at) WHERE NOT published
""",
    """
CREATE TABLE lakefront.alert_turns (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  rule_id text NOT NULL,
  provider text NOT NULL,
  city text NOT NULL,
  since timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, rule_id, provider, city)
)
""",
    f"""
CREATE TABLE lakefront.alert_sightings (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  metric text NOT NULL,
  provider text NOT NULL,
  city text NOT NULL,
  replica text NOT NULL,
  value double precision NOT NULL CHECK (value {_FINITE}),
  seen_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, metric, provider, city, replica)
)
""",
    """
CREATE TABLE lakefront.provider_quotas (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  provider text NOT NULL,
  city text NOT NULL,
  lane text NOT NULL,
  day date NOT NULL,
  used bigint NOT NULL CHECK (used >= 0),
  quota bigint NOT NULL CHECK (quota >= 0),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, provider, city, lane, day)
)
""",
)

_NAMES = ("alert_rules", "alerts", "alert_changes", "alert_turns", "alert_sightings", "provider_quotas")

_GRANTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.alert_rules, lakefront.alert_turns TO lakefront_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.alert_sightings, lakefront.provider_quotas TO lakefront_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.alerts TO lakefront_app",
    "GRANT SELECT, INSERT, UPDATE (published), DELETE ON lakefront.alert_changes TO lakefront_app",
    # Whose rules are to be looked at, and how many alerts of all tenants are open; not what they are about.
    "CREATE POLICY provisioner ON lakefront.alert_rules FOR SELECT TO lakefront_provisioner USING (true)",
    "CREATE POLICY provisioner ON lakefront.alerts FOR SELECT TO lakefront_provisioner USING (true)",
    "GRANT SELECT (tenant_id) ON lakefront.alert_rules TO lakefront_provisioner",
    "GRANT SELECT (tenant_id, level, state) ON lakefront.alerts TO lakefront_provisioner",
)


def upgrade() -> None:
    """Make it."""
    for statement in _TABLES:
        op.execute(statement)
    for name in _NAMES:
        for statement in secured(f"lakefront.{name}"):
            op.execute(statement)
        op.execute(f"ALTER TABLE lakefront.{name} OWNER TO lakefront_owner")
    for statement in _GRANTS:
        op.execute(statement)


def downgrade() -> None:
    """Remove it."""
    for name in reversed(_NAMES):
        op.execute(f"DROP TABLE lakefront.{name}")
