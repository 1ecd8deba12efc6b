"""Outside systems: where and how each tenant reaches them, who changed that, and the cities that they are of."""

from alembic import op

from lakefront.db.row_security import secured

revision = "0005"
down_revision = "0004"

_TABLES = (
    """
CREATE TABLE lakefront.cities (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  slug text NOT NULL,
  name text NOT NULL,
  latitude double precision CHECK (latitude BETWEEN -90 AND 90),
  longitude double precision CHECK (longitude BETWEEN -180 AND 180),
  time_zone text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, slug),
  CHECK ((latitude IS NULL) = (longitude IS NULL))
)
""",
    """
CREATE TABLE lakefront.integrations (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  provider text NOT NULL,
  city text NOT NULL,
  base_url text NOT NULL,
  api_version text NOT NULL,
  credentials bytea NOT NULL CHECK (octet_length(credentials) BETWEEN 29 AND 131072),
  key_id text NOT NULL,
  credentials_set jsonb NOT NULL,
  quota_daily bigint CHECK (quota_daily >= 0),
  enabled boolean NOT NULL,
  version bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by text NOT NULL,
  PRIMARY KEY (tenant_id, provider, city)
)
""",
    """
CREATE TABLE lakefront.integration_changes (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  provider text NOT NULL,
  city text NOT NULL,
  version bigint NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  changed_by text NOT NULL,
  on_behalf_of text,
  changed text[] NOT NULL,
  PRIMARY KEY (tenant_id, provider, city, version)
)
""",
)

_NOTICE = (
    """
CREATE FUNCTION lakefront.integrations_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('lakefront_integrations', '');
  RETURN NULL;
END $$
""",
    """
CREATE TRIGGER integrations_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lakefront.integrations
EXECUTE FUNCTION lakefront.integrations_changed()
""",
)
# Whoever changes a row, by whatever way: every server hears of it.

_GRANTS = (
    "GRANT SELECT, INSERT, UPDATE ON lakefront.cities, lakefront.integrations TO lakefront_app",
    "GRANT SELECT, INSERT ON lakefront.integration_changes TO lakefront_app",
    # Whose rows wait for a new key; not what they hold.
    "CREATE POLICY provisioner ON lakefront.integrations FOR SELECT TO lakefront_provisioner USING (true)",
    "GRANT SELECT (tenant_id, key_id) ON lakefront.integrations TO lakefront_provisioner",
)

_NAMES = ("cities", "integrations", "integration_changes")


def upgrade() -> None:
    """Make it."""
    for statement in (*_TABLES, *_NOTICE):
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
    op.execute("DROP FUNCTION lakefront.integrations_changed")
