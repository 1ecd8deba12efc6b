"""Each tenant's schema (T3): one of its own name, with views of its own rows, for its BI login and nobody else.

Whoever can send SQL can set ``lakefront.tenant``; so these views do not ask it, but name their tenant as a literal.
They are owned by ``lakefront_views``, which reads the tables below them and cannot log in, and are security barriers:
no function of the reader's sees a row before the tenant's condition did. No reader has a right to a table.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, Table

from lakefront.db.database import PROVISIONER_ROLE, VIEWS_ROLE, Transaction
from lakefront.db.tables import lake, log, permits, tenants

_COMPREHENSIVE: Final = """
SELECT r.tenant_id, r.run_id, r.provider, r.domain, r.template, r.status AS run_status, r.trigger_by, r.user_id,
  r.started_at AS run_started_at, r.ended_at AS run_ended_at, r.error AS run_error,
  p.part, p.step, p.name, p.target, p.status, p.started_at, p.ended_at, p.row_count, p.rows_failed, p.message
FROM tenants.tenant_pipeline_runs r
LEFT JOIN (
  SELECT run_id, 'step' AS part, step, name, NULL AS target, status, started_at, ended_at,
    rows_processed AS row_count, NULL::bigint AS rows_failed, message
  FROM tenants.tenant_step_logs WHERE tenant_id = {tenant}
  UNION ALL
  SELECT run_id, 'check', NULL, check_name, target, CASE WHEN passed THEN 'passed' ELSE 'failed' END, checked_at,
    checked_at, rows_checked, rows_failed, NULL
  FROM tenants.tenant_dq_results WHERE tenant_id = {tenant}) p ON p.run_id = r.run_id
WHERE r.tenant_id = {tenant}
"""


def _rows_of(table: Table, *, without: Iterable[str] = ()) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in set(without))
    return f"SELECT {columns} FROM {table.fullname} WHERE tenant_id = {{tenant}}"  # noqa: S608 - names of our own


VIEWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "events": _rows_of(log.events),
        "permits": _rows_of(permits.permits, without=["field_versions"]),
        "permit_addresses": _rows_of(permits.permit_addresses, without=["rank", "offset"]),
        "lake_objects": _rows_of(lake.lake_objects),
        "pipeline_runs": _rows_of(tenants.tenant_pipeline_runs),
        "step_logs": _rows_of(tenants.tenant_step_logs),
        "dq_results": _rows_of(tenants.tenant_dq_results),
        "tenant_comprehensive_view": _COMPREHENSIVE,
    }
)
"""name -> what the view selects, its tenant left open.

``tenant_comprehensive_view`` has one row for each step and each data quality check of a run, and one for a run without
any. Of the run: ``run_id, provider, domain, template, run_status, trigger_by, user_id, run_started_at, run_ended_at,
run_error``. Of its ``part`` (``step``, ``check``, or NULL): ``step`` (a step's place), ``name``, ``target`` (what a
check looked at), ``status`` (a check's: ``passed`` or ``failed``), ``started_at, ended_at, row_count`` (processed by a
step, looked at by a check), ``rows_failed, message``."""

_ALL: Final = f"""
SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
WHERE c.relkind = 'v' AND r.rolname = '{VIEWS_ROLE}' GROUP BY n.nspname ORDER BY n.nspname
"""  # noqa: S608 - a name of our own


def statements(tenant: str) -> list[str]:
    """What makes the schema of ``tenant`` and its views; for the provisioner, within one transaction."""
    schema, literal = identifier(tenant), "'" + tenant.replace("'", "''") + "'"
    views = [
        f"CREATE VIEW {schema}.{name} WITH (security_barrier) AS {select.format(tenant=literal)}"
        for name, select in VIEWS.items()
    ]
    return [
        f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {VIEWS_ROLE}",
        f"SET LOCAL ROLE {VIEWS_ROLE}",  # theirs from the start, so that the schema's default privileges hold
        *views,
        f"SET LOCAL ROLE {PROVISIONER_ROLE}",
    ]


async def create(transaction: Transaction, tenant: str) -> None:
    """Make the schema of ``tenant`` and its views within ``transaction``, which is the provisioner's.

    Raises what PostgreSQL says where a foreign schema has that name (``InsufficientPrivilegeError``) or the views are
    there already (``DuplicateTableError``).
    """
    for statement in statements(tenant):
        await transaction.execute(statement)


def drop_all(connection: Connection) -> None:
    """Drop every tenant's views, before a migration's steps: none could change a column that a view shows."""
    for views in connection.exec_driver_sql(_ALL).scalars().all():
        connection.exec_driver_sql(f"DROP VIEW {views}")


def create_all(connection: Connection) -> None:
    """Make every tenant's views; who could read a tenant's can again, by its schema's default privileges."""
    connection.exec_driver_sql(f"SET LOCAL ROLE {PROVISIONER_ROLE}")
    found = connection.exec_driver_sql("SELECT tenant_id FROM tenants.tenant_profiles ORDER BY tenant_id")
    for tenant in found.scalars().all():
        for statement in statements(tenant):
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql("RESET ROLE")


def identifier(name: str) -> str:
    """``name`` as SQL has it: of a schema, a role."""
    return '"' + name.replace('"', '""') + '"'
