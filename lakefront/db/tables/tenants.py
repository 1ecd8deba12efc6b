"""Tenants (T3): who they are, their keys, their plan and its use, their pipelines' runs. Schema ``tenants``.

The tables are shared by all tenants, under forced row-level security; each tenant has a schema of its own name with
views of its rows (``lakefront.db.tenant_views``).
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from lakefront.db.tables.base import metadata, tenant, timestamp

SCHEMA = "tenants"

tenant_profiles = Table(
    "tenant_profiles",
    metadata,
    *tenant(),
    Column("company_name", Text, nullable=False),
    Column("admin_email", Text, nullable=False),
    Column("status", Text, nullable=False),
    timestamp("created_at", nullable=False, server_default=func.now()),
    timestamp("suspended_at"),
    Column("suspension_reason", Text),
    CheckConstraint("status IN ('active', 'suspended')"),
    schema=SCHEMA,
)
"""One row a tenant. ``admin_email`` is personal data: never in logs, spans or errors."""

tenant_subscriptions = Table(
    "tenant_subscriptions",
    metadata,
    *tenant(),
    Column("plan", Text, nullable=False),
    Column("daily_pipelines", Integer, nullable=False),
    Column("daily_events", BigInteger),
    Column("daily_requests", BigInteger),
    Column("storage_bytes", BigInteger),
    timestamp("started_at", nullable=False, server_default=func.now()),
    CheckConstraint("plan IN ('FREE', 'BASIC', 'PROFESSIONAL', 'ENTERPRISE')"),
    schema=SCHEMA,
)
"""A tenant's plan (T5) and the quotas that hold for it; a quota that is NULL does not bound. Days are of UTC."""

tenant_usage_quotas = Table(
    "tenant_usage_quotas",
    metadata,
    *tenant(),
    Column("usage_date", Date, primary_key=True),
    Column("pipelines_started", Integer, nullable=False, server_default="0"),
    Column("events_before", BigInteger, nullable=False),
    schema=SCHEMA,
)
"""A tenant's use of a UTC day: pipelines are counted under the row's lock; events are what the heads say beyond
``events_before``, the sum of the heads when the day's first row was made."""

tenant_api_keys = Table(
    "tenant_api_keys",
    metadata,
    *tenant(),
    Column("key_id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("roles", ARRAY(Text), nullable=False),
    timestamp("created_at", nullable=False),
    Column("created_by", Text, nullable=False),
    timestamp("expires_at", nullable=False),
    timestamp("revoked_at"),
    timestamp("last_used_at"),
    Column("replaced_by", Uuid),
    schema=SCHEMA,
)
"""API keys (T2, L14): only the SHA-256 of a key is kept. ``prefix``: the first 8 characters after ``<tenant>_api_``, by
which it is looked up and shown. One that was rotated has ``replaced_by``, and ``expires_at`` is the overlap's end."""
Index("tenant_api_keys_by_prefix", tenant_api_keys.c.tenant_id, tenant_api_keys.c.prefix)

tenant_pipeline_runs = Table(
    "tenant_pipeline_runs",
    metadata,
    *tenant(),
    Column("run_id", Uuid, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("trigger_by", Text),
    Column("user_id", Text),
    Column("parameters", JSONB, nullable=False),
    timestamp("started_at", nullable=False),
    timestamp("ended_at"),
    Column("error", Text),
    schema=SCHEMA,
)
"""Runs of a tenant's pipelines (T6)."""
Index("tenant_pipeline_runs_by_start", tenant_pipeline_runs.c.tenant_id, tenant_pipeline_runs.c.started_at)

tenant_step_logs = Table(
    "tenant_step_logs",
    metadata,
    *tenant(),
    Column("run_id", Uuid, primary_key=True),
    Column("step", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    timestamp("started_at", nullable=False),
    timestamp("ended_at"),
    Column("rows_processed", BigInteger),
    Column("message", Text),
    schema=SCHEMA,
)
"""The steps of a run, in their order."""

tenant_dq_results = Table(
    "tenant_dq_results",
    metadata,
    *tenant(),
    Column("run_id", Uuid, primary_key=True),
    Column("check_name", Text, primary_key=True),
    Column("target", Text, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("rows_checked", BigInteger, nullable=False),
    Column("rows_failed", BigInteger, nullable=False),
    timestamp("checked_at", nullable=False),
    schema=SCHEMA,
)
"""What a run's checks of data quality found."""

dry_runs = Table(
    "dry_runs",
    metadata,
    Column("configuration", LargeBinary, primary_key=True),
    timestamp("passed_at", nullable=False),
    schema=SCHEMA,
)
"""Configurations (the SHA-256 of their canonical JSON) whose dry run passed (T1): they may be onboarded for an hour."""
