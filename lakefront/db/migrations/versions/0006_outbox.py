"""What waits to be told to the outside, and what could not be."""

from alembic import op

from lakefront.db.row_security import secured

revision = "0006"
down_revision = "0005"

_TABLES = (
    """
CREATE TABLE lakefront.outbox (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  job_id uuid NOT NULL,
  number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  kind text NOT NULL,
  key text NOT NULL,
  provider text NOT NULL,
  city text NOT NULL,
  payload jsonb NOT NULL,
  trace_id text NOT NULL,
  state text NOT NULL DEFAULT 'QUEUED' CHECK (state IN ('QUEUED', 'RUNNING', 'DONE', 'UNCERTAIN', 'DEAD')),
  due_at timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  replays integer NOT NULL DEFAULT 0,
  round_at timestamptz NOT NULL DEFAULT now(),
  in_doubt_since timestamptz,
  trying_since timestamptz,
  error_code text,
  error_message text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, job_id),
  CHECK (state = 'DEAD' OR (due_at IS NOT NULL) = (state IN ('QUEUED', 'RUNNING')))
)
""",
    """
CREATE INDEX outbox_by_line ON lakefront.outbox (tenant_id, provider, city, due_at) WHERE due_at IS NOT NULL
""",
    """
CREATE INDEX outbox_by_key ON lakefront.outbox (tenant_id, key, number)
WHERE due_at IS NOT NULL OR state = 'UNCERTAIN'
""",
    "CREATE INDEX outbox_done ON lakefront.outbox (tenant_id, updated_at) WHERE state = 'DONE'",
    """
CREATE TABLE lakefront.dead_letters (
  tenant_id text NOT NULL CHECK (tenant_id <> ''),
  letter_id uuid NOT NULL,
  job_id uuid NOT NULL,
  kind text NOT NULL,
  key text NOT NULL,
  provider text NOT NULL,
  city text NOT NULL,
  state text NOT NULL DEFAULT 'WAITING' CHECK (state IN ('WAITING', 'REPLAYED', 'DISCARDED')),
  uncertain boolean NOT NULL,
  error_code text NOT NULL,
  error_message text NOT NULL,
  attempts integer NOT NULL,
  trace_id text NOT NULL,
  excerpt text NOT NULL,
  died_at timestamptz NOT NULL DEFAULT now(),
  replay_at timestamptz,
  decided_at timestamptz,
  decided_by text,
  on_behalf_of text,
  PRIMARY KEY (tenant_id, letter_id),
  CHECK ((state = 'WAITING') = (decided_at IS NULL))
)
""",
    "CREATE UNIQUE INDEX dead_letters_waiting ON lakefront.dead_letters (tenant_id, job_id) WHERE state = 'WAITING'",
    "CREATE INDEX dead_letters_by_time ON lakefront.dead_letters (tenant_id, died_at, letter_id)",
    "CREATE INDEX dead_letters_decided ON lakefront.dead_letters (tenant_id, decided_at) WHERE state <> 'WAITING'",
)

_GRANTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.outbox TO lakefront_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.dead_letters TO lakefront_app",
    # Which jobs of all tenants are due, and how many letters wait: never what they say.
    "CREATE POLICY provisioner ON lakefront.outbox FOR SELECT TO lakefront_provisioner USING (true)",
    (
        "GRANT SELECT (tenant_id, job_id, number, kind, key, provider, city, state, due_at, attempts, round_at, "
        "created_at, updated_at) ON lakefront.outbox TO lakefront_provisioner"
    ),
    "CREATE POLICY provisioner ON lakefront.dead_letters FOR SELECT TO lakefront_provisioner USING (true)",
    (
        "GRANT SELECT (tenant_id, letter_id, provider, state, uncertain, died_at, replay_at, decided_at) "
        "ON lakefront.dead_letters TO lakefront_provisioner"
    ),
)

_NAMES = ("outbox", "dead_letters")


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
