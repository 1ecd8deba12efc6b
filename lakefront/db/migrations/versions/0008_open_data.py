"""Imports of published data sets, what is known of their rows, and food inspections."""

from alembic import op

from lakefront.db.row_security import secured

revision = "0008"
down_revision = "0007"

_TABLES = (
    """
CREATE TABLE lakefront.open_data_imports (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  import_id text NOT NULL,
  dataset text NOT NULL,
  city text NOT NULL,
  state text NOT NULL CHECK (state IN ('QUEUED', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED')),
  since timestamptz,
  place jsonb NOT NULL,
  rows_total bigint,
  rows_read bigint NOT NULL DEFAULT 0,
  accepted bigint NOT NULL DEFAULT 0,
  duplicates bigint NOT NULL DEFAULT 0,
  rejected bigint NOT NULL DEFAULT 0,
  problems jsonb NOT NULL DEFAULT '[]',
  requested_at timestamptz NOT NULL DEFAULT now(),
  requested_by text NOT NULL,
  started_at timestamptz,
  ended_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now(),
  error_code text,
  error_message text,
  trace_id text NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  told bigint NOT NULL DEFAULT 0,
  failures integer NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL DEFAULT now(),
  lease uuid,
  leased_until timestamptz,
  PRIMARY KEY (tenant_id, import_id)
)
""",
    """
CREATE TABLE lakefront.open_data_rows (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  dataset text NOT NULL,
  row_key text NOT NULL,
  digest uuid NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, dataset, row_key)
)
""",
    """
CREATE TABLE lakefront.food_inspections (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  inspection_id text NOT NULL,
  city text NOT NULL,
  restaurant_id text NOT NULL,
  restaurant_name text,
  cuisine text,
  building text,
  street text,
  borough text,
  postal_code text,
  community_board text,
  latitude double precision,
  longitude double precision,
  inspected_on date,
  inspection_type text,
  action text,
  violation_code text,
  violation text,
  critical boolean,
  score integer,
  grade text,
  graded_on date,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, inspection_id)
)
""",
)

_INDEXES = """
CREATE UNIQUE INDEX open_data_imports_under_way ON lakefront.open_data_imports (tenant_id, dataset, city)
  WHERE state IN ('QUEUED', 'RUNNING');
CREATE INDEX open_data_imports_by_dataset ON lakefront.open_data_imports (tenant_id, dataset, city, requested_at);
CREATE INDEX open_data_imports_by_requested_at ON lakefront.open_data_imports (tenant_id, requested_at, import_id);
CREATE INDEX open_data_imports_waiting ON lakefront.open_data_imports (due_at)
  WHERE state IN ('QUEUED', 'RUNNING') OR told < version;
CREATE INDEX food_inspections_by_date ON lakefront.food_inspections (tenant_id, inspected_on, inspection_id);
CREATE INDEX food_inspections_by_restaurant ON lakefront.food_inspections (tenant_id, restaurant_id, inspected_on);
CREATE INDEX food_inspections_by_borough ON lakefront.food_inspections (tenant_id, borough, grade, inspection_id);
CREATE INDEX food_inspections_by_latitude ON lakefront.food_inspections (tenant_id, latitude, longitude)
"""

_GRANTS = """
GRANT SELECT, INSERT, UPDATE
  ON lakefront.open_data_imports, lakefront.open_data_rows, lakefront.food_inspections TO lakefront_app;
GRANT DELETE ON lakefront.open_data_imports TO lakefront_app;
CREATE POLICY provisioner ON lakefront.open_data_imports FOR SELECT TO lakefront_provisioner USING (true);
GRANT SELECT (
  tenant_id, import_id, dataset, city, state, requested_at, ended_at, due_at, leased_until, version, told
) ON lakefront.open_data_imports TO lakefront_provisioner
"""
# The provisioner sees whose imports wait, and which data sets are due again; not what became of them.

_NAMES = ("open_data_imports", "open_data_rows", "food_inspections")


def upgrade() -> None:
    """Make it."""
    for statement in (*_TABLES, *_INDEXES.split(";\n")):
        op.execute(statement)
    for name in _NAMES:
        for statement in secured(f"lakefront.{name}"):
            op.execute(statement)
        op.execute(f"ALTER TABLE lakefront.{name} OWNER TO lakefront_owner")
    for statement in _GRANTS.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove it."""
    for name in reversed(_NAMES):
        op.execute(f"DROP TABLE lakefront.{name}")
