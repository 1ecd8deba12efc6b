"""Notices: their rules, receivers, and what was sent."""

from alembic import op

from lakefront.db.row_security import secured

revision = "0009"
down_revision = "0008"

_TABLES = (
    """
CREATE TABLE lakefront.webhooks (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  webhook_id text NOT NULL,
  name text NOT NULL,
  url text NOT NULL,
  secrets bytea NOT NULL CHECK (octet_length(secrets) BETWEEN 29 AND 131072),
  key_id text NOT NULL,
  has_path boolean NOT NULL,
  old_secret_until timestamptz,
  enabled boolean NOT NULL,
  version bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by text NOT NULL,
  PRIMARY KEY (tenant_id, webhook_id)
)
""",
    """
CREATE TABLE lakefront.notice_rules (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  rule_id text NOT NULL,
  name text NOT NULL,
  stream text NOT NULL,
  event_types text[] NOT NULL,
  conditions jsonb NOT NULL,
  channel text NOT NULL CHECK (channel IN ('MAIL', 'SMS', 'SLACK', 'WEBHOOK')),
  recipient_kind text NOT NULL CHECK (recipient_kind IN ('REPORTER', 'ADDRESS', 'WEBHOOK', 'CHAT')),
  address text,
  webhook_id text,
  subject text,
  text text,
  most_daily bigint NOT NULL CHECK (most_daily > 0),
  enabled boolean NOT NULL,
  since jsonb NOT NULL,
  version bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by text NOT NULL,
  PRIMARY KEY (tenant_id, rule_id),
  FOREIGN KEY (tenant_id, webhook_id) REFERENCES lakefront.webhooks,
  CHECK ((recipient_kind = 'ADDRESS') = (address IS NOT NULL)),
  CHECK ((recipient_kind = 'WEBHOOK') = (webhook_id IS NOT NULL))
)
""",
    """
CREATE TABLE lakefront.notices (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  notice_id text NOT NULL,
  rule_id text NOT NULL,
  rule_name text NOT NULL,
  channel text NOT NULL,
  recipient text,
  webhook_id text,
  stream text NOT NULL,
  shard integer NOT NULL,
  "offset" bigint NOT NULL,
  event_id text NOT NULL,
  event_type text NOT NULL,
  about text NOT NULL,
  state text NOT NULL CHECK (state IN ('QUEUED', 'SENT', 'UNCERTAIN', 'FAILED', 'SKIPPED')),
  reason text,
  error_code text,
  external_id text,
  delivery text,
  trace_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  called_at timestamptz,
  ended_at timestamptz,
  PRIMARY KEY (tenant_id, notice_id),
  CHECK ((state = 'QUEUED') = (ended_at IS NULL))
)
""",
)

_INDEXES = (
    "CREATE INDEX notice_rules_webhook ON lakefront.notice_rules (tenant_id, webhook_id)",
    "CREATE INDEX notices_created ON lakefront.notices (tenant_id, created_at, notice_id)",
    "CREATE INDEX notices_state ON lakefront.notices (tenant_id, state, created_at)",
    "CREATE INDEX notices_rule ON lakefront.notices (tenant_id, rule_id, created_at)",
    "CREATE INDEX notices_about ON lakefront.notices (tenant_id, about, created_at)",
    # How many a rule made within a day; those that were too many, which may be very many, are not among them.
    "CREATE INDEX notices_made ON lakefront.notices (tenant_id, rule_id, created_at) WHERE state <> 'SKIPPED'",
)

_GRANTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.webhooks, lakefront.notice_rules TO lakefront_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.notices TO lakefront_app",
    # Whose rows wait for a new key; not what they hold.
    "CREATE POLICY provisioner ON lakefront.webhooks FOR SELECT TO lakefront_provisioner USING (true)",
    "GRANT SELECT (tenant_id, key_id) ON lakefront.webhooks TO lakefront_provisioner",
    # Whose log is to be read for rules; not what these are.
    "CREATE POLICY provisioner ON lakefront.notice_rules FOR SELECT TO lakefront_provisioner USING (true)",
    "GRANT SELECT (tenant_id, stream, enabled) ON lakefront.notice_rules TO lakefront_provisioner",
)

_NAMES = ("webhooks", "notice_rules", "notices")


def upgrade() -> None:
    """Make it."""
    for statement in (*_TABLES, *_INDEXES):
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
