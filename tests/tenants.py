"""Tenants for tests of what they may see: made as onboarding makes them, with a row of each kind."""

import asyncpg

from lakefront.db import tenant_views
from lakefront.db.database import Database

ROWS = """
INSERT INTO lakefront.events
  VALUES ($1, 'sf-permit-events', 0, 0, $1, $1, $1, now(), now(), to_jsonb($1), $1, $1, '1', $1);
INSERT INTO lakefront.permits (tenant_id, permit_id, status, updated_at, field_versions)
  VALUES ($1, $1, $1, now(), '[]');
INSERT INTO lakefront.permit_addresses (tenant_id, permit_id, address_id, "primary", occurred_at, rank, "offset")
  VALUES ($1, $1, $1, true, now(), 0, 0);
INSERT INTO lakefront.lake_objects
  VALUES ($1, 'sf-permit-events', 0, 0, 1, $1, 'gzip', repeat('0', 64), 1, 1, 1, now(), now(), now(), now());
INSERT INTO tenants.tenant_pipeline_runs
  (tenant_id, run_id, provider, domain, template, status, parameters, started_at)
  VALUES ($1, md5($1)::uuid, $1, $1, $1, 'done', '{}', now());
INSERT INTO tenants.tenant_step_logs (tenant_id, run_id, step, name, status, started_at)
  VALUES ($1, md5($1)::uuid, 1, $1, 'done', now()), ($1, md5($1)::uuid, 2, $1, 'done', now());
INSERT INTO tenants.tenant_dq_results VALUES ($1, md5($1)::uuid, $1, $1, false, 10, 1, now());
"""


async def onboard(provisioner: Database, *tenants: str) -> None:
    """Make ``tenants`` with their views, as onboarding does, in one transaction."""
    async with provisioner.transaction("-") as transaction:
        for tenant in tenants:
            await transaction.execute(
                "INSERT INTO tenants.tenant_profiles (tenant_id, company_name, admin_email, status) "
                "VALUES ($1, $1, '', 'active')",
                tenant,
            )
            await transaction.execute(
                "INSERT INTO tenants.tenant_subscriptions (tenant_id, plan, daily_pipelines) VALUES ($1, 'FREE', 3)",
                tenant,
            )
            await tenant_views.create(transaction, tenant)


async def write_rows(dsn: str, tenant: str, mark: str | None = None) -> None:
    """A row of ``tenant`` below each of its views; their texts are ``mark``, the tenant's name if None."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = ROWS.replace("VALUES ($1", f"VALUES ('{tenant}'").replace(", ($1", f", ('{tenant}'")
        await connection.execute(rows.replace("$1", f"'{mark or tenant}'::text"))
    finally:
        await connection.close()
