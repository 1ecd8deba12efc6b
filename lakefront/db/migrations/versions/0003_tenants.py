"""Tenants: their tables, the provisioner, the owner of the views that each tenant has in a schema of its own.

Two more roles without login. ``lakefront_provisioner`` sees and makes tenants: it may create schemas, and roles for
business-intelligence tools. ``lakefront_views`` owns the tenants' views and reads the tables below them; each view
names its tenant, so that whoever may read it sees that tenant alone, whatever they set.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_ROLES = """
DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['lakefront_provisioner', 'lakefront_views'] LOOP
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
  GRANT lakefront_views TO lakefront_provisioner WITH SET TRUE, INHERIT TRUE;
  BEGIN
    ALTER ROLE lakefront_provisioner CREATEROLE;
  EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'lakefront_provisioner may not create roles: tenants get no login for BI tools here';
  END;
END $$
"""

_FUNCTIONS = """
DO $$
DECLARE function regprocedure;
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    RAISE NOTICE 'tenants may take advisory locks and make large objects here: a superuser alone can forbid it';
    RETURN;
  END IF;
  FOR function IN SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
    AND (proname LIKE 'pg\\_%advisory%' OR proname IN ('lo_creat', 'lo_create', 'lo_from_bytea'))
  LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function);
    EXECUTE format(
      'GRANT EXECUTE ON FUNCTION %s TO lakefront_owner, lakefront_appender, lakefront_app, lakefront_provisioner',
      function);
  END LOOP;
END $$
"""
# What PostgreSQL lets anybody do, and a tenant's login for BI tools must not: hold the locks that the sealers share out
# shards by, write large objects.

_TABLES = """
CREATE TABLE tenants.tenant_profiles (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  company_name text NOT NULL,
  admin_email text NOT NULL,
  status text NOT NULL CHECK (status IN ('active', 'suspended')),
  created_at timestamptz NOT NULL DEFAULT now(),
  suspended_at timestamptz,
  suspension_reason text,
  PRIMARY KEY (tenant_id)
);
CREATE TABLE tenants.tenant_subscriptions (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  plan text NOT NULL CHECK (plan IN ('FREE', 'BASIC', 'PROFESSIONAL', 'ENTERPRISE')),
  daily_pipelines integer NOT NULL,
  daily_events bigint,
  daily_requests bigint,
  storage_bytes bigint,
  started_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id)
);
CREATE TABLE tenants.tenant_usage_quotas (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  usage_date date NOT NULL,
  pipelines_started integer NOT NULL DEFAULT 0,
  events_before bigint NOT NULL,
  PRIMARY KEY (tenant_id, usage_date)
);
CREATE TABLE tenants.tenant_api_keys (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  key_id uuid NOT NULL,
  name text NOT NULL,
  prefix text NOT NULL,
  sha256 bytea NOT NULL UNIQUE,
  roles text[] NOT NULL,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  last_used_at timestamptz,
  replaced_by uuid,
  PRIMARY KEY (tenant_id, key_id)
);
CREATE INDEX tenant_api_keys_by_prefix ON tenants.tenant_api_keys (tenant_id, prefix);
CREATE TABLE tenants.tenant_pipeline_runs (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  run_id uuid NOT NULL,
  provider text NOT NULL,
  domain text NOT NULL,
  template text NOT NULL,
  status text NOT NULL,
  trigger_by text,
  user_id text,
  parameters jsonb NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  error text,
  PRIMARY KEY (tenant_id, run_id)
);
CREATE INDEX tenant_pipeline_runs_by_start ON tenants.tenant_pipeline_runs (tenant_id, started_at);
CREATE TABLE tenants.tenant_step_logs (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  run_id uuid NOT NULL,
  step smallint NOT NULL,
  name text NOT NULL,
  status text NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  rows_processed bigint,
  message text,
  PRIMARY KEY (tenant_id, run_id, step)
);
CREATE TABLE tenants.tenant_dq_results (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  run_id uuid NOT NULL,
  check_name text NOT NULL,
  target text NOT NULL,
  passed boolean NOT NULL,
  rows_checked bigint NOT NULL,
  rows_failed bigint NOT NULL,
  checked_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, run_id, check_name)
);
CREATE TABLE tenants.dry_runs (
  configuration bytea PRIMARY KEY,
  passed_at timestamptz NOT NULL
);
CREATE TABLE lakefront.policy_rules (
  rule_id uuid PRIMARY KEY,
  role text NOT NULL,
  domain text NOT NULL,
  object text NOT NULL,
  action text NOT NULL,
  rows text NOT NULL CHECK (rows IN ('own', 'any', 'none')),
  UNIQUE (role, domain, object, action)
);
"""

_POLICIES = (
    """
CREATE FUNCTION lakefront.policies_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('lakefront_policies', '');
  RETURN NULL;
END $$
""",
    """
CREATE TRIGGER policies_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lakefront.policy_rules
EXECUTE FUNCTION lakefront.policies_changed()
""",
)
# Whoever changes a rule, by whatever way: every server hears of it.

_TENANTS = (
    *("tenant_profiles", "tenant_subscriptions", "tenant_usage_quotas", "tenant_api_keys"),
    *("tenant_pipeline_runs", "tenant_step_logs", "tenant_dq_results"),
)

_CITY = """
INSERT INTO tenants.tenant_profiles (tenant_id, company_name, admin_email, status)
VALUES ('city', 'The city', '', 'active');
INSERT INTO tenants.tenant_subscriptions (tenant_id, plan, daily_pipelines) VALUES ('city', 'ENTERPRISE', 100)
"""
# The tenant that every installation has; its quotas are those of the streams (P6) alone.

_VIEWED = ("lakefront.events", "lakefront.permits", "lakefront.permit_addresses", "lakefront.lake_objects")
"""What a tenant's views show, beside the tables of the schema ``tenants``."""

_PROGRESS = ("lakefront.heads", "lakefront.consumer_offsets")
"""How far logs and their readers are: workers ask under the provisioner's role whose log has something for them."""


def upgrade() -> None:
    """Make all of it."""
    op.execute(_ROLES)
    op.execute(_FUNCTIONS)
    op.execute("CREATE SCHEMA tenants")
    op.execute("GRANT USAGE, CREATE ON SCHEMA tenants TO lakefront_owner")
    op.execute("GRANT USAGE ON SCHEMA tenants TO lakefront_app, lakefront_provisioner, lakefront_views")
    op.execute("GRANT USAGE ON SCHEMA lakefront TO lakefront_provisioner, lakefront_views")
    for script in (_TABLES, _CITY):
        for statement in script.split(";\n"):
            if statement.strip():
                op.execute(statement)
    for statement in _POLICIES:
        op.execute(statement)
    mine = "(tenant_id = (SELECT current_setting('lakefront.tenant', true)))"
    for table in _TENANTS:
        op.execute(f"ALTER TABLE tenants.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON tenants.{table} TO lakefront_app USING {mine} WITH CHECK {mine}")
        op.execute(f"CREATE POLICY provisioner ON tenants.{table} TO lakefront_provisioner USING (true)")
        op.execute(f"ALTER TABLE tenants.{table} FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE tenants.{table} OWNER TO lakefront_owner")
    op.execute("ALTER TABLE tenants.dry_runs OWNER TO lakefront_owner")
    op.execute("ALTER TABLE lakefront.policy_rules OWNER TO lakefront_owner")
    _grant()
    for table in _PROGRESS:
        op.execute(f"CREATE POLICY provisioner ON {table} FOR SELECT TO lakefront_provisioner USING (true)")
        op.execute(f"GRANT SELECT ON {table} TO lakefront_provisioner")
    for table in ("tenants.tenant_pipeline_runs", "tenants.tenant_step_logs", "tenants.tenant_dq_results", *_VIEWED):
        op.execute(f"CREATE POLICY views ON {table} FOR SELECT TO lakefront_views USING (true)")
        op.execute(f"GRANT SELECT ON {table} TO lakefront_views")


def _grant() -> None:
    op.execute("GRANT SELECT ON tenants.tenant_profiles, tenants.tenant_subscriptions TO lakefront_app")
    op.execute("GRANT SELECT, INSERT, UPDATE ON tenants.tenant_usage_quotas, tenants.tenant_api_keys TO lakefront_app")
    for table in ("tenant_pipeline_runs", "tenant_step_logs", "tenant_dq_results"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON tenants.{table} TO lakefront_app")
    op.execute(
        "GRANT SELECT, INSERT, UPDATE ON tenants.tenant_profiles, tenants.tenant_subscriptions, "
        "tenants.tenant_api_keys, tenants.tenant_usage_quotas TO lakefront_provisioner"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON tenants.dry_runs TO lakefront_provisioner")
    # Whether there is such a token, in whatever tenant; not whose it is.
    op.execute("CREATE POLICY provisioner ON lakefront.ingest_tokens FOR SELECT TO lakefront_provisioner USING (true)")
    op.execute("GRANT SELECT (sha256) ON lakefront.ingest_tokens TO lakefront_provisioner")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.idempotency_keys TO lakefront_provisioner")
    op.execute("GRANT SELECT ON lakefront.policy_rules TO lakefront_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.policy_rules TO lakefront_provisioner")


def downgrade() -> None:
    """Remove it; the roles stay, as other databases of the cluster may use them, and so do tenants' schemas."""
    for table in _PROGRESS:
        op.execute(f"DROP POLICY provisioner ON {table}")
        op.execute(f"REVOKE ALL ON {table} FROM lakefront_provisioner")
    for table in _VIEWED:
        op.execute(f"DROP POLICY views ON {table}")
        op.execute(f"REVOKE ALL ON {table} FROM lakefront_views")
    op.execute("REVOKE ALL ON lakefront.idempotency_keys FROM lakefront_provisioner")
    op.execute("DROP TABLE lakefront.policy_rules")
    op.execute("DROP FUNCTION lakefront.policies_changed")
    for table in ("dry_runs", *reversed(_TENANTS)):
        op.execute(f"DROP TABLE tenants.{table} CASCADE")
    op.execute("DROP SCHEMA tenants")
    op.execute("DROP POLICY provisioner ON lakefront.ingest_tokens")
    op.execute("REVOKE SELECT (sha256) ON lakefront.ingest_tokens FROM lakefront_provisioner")
    for role in ("lakefront_provisioner", "lakefront_views"):
        op.execute(f"REVOKE ALL ON SCHEMA lakefront FROM {role}")
