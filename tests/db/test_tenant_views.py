"""Tenants' schemas: views of their own rows alone, which outlive a migration of what they show."""

from pathlib import Path

import asyncpg
import pytest

from lakefront.actor import CITY
from lakefront.db import migrate as migrations
from lakefront.db import tenant_views
from lakefront.db.database import Database
from lakefront.db.migrate import engine_for, newest
from lakefront.db.tenant_views import VIEWS
from tests.tenants import onboard, write_rows

LATER = """
from alembic import op

revision = "9999"
down_revision = "{before}"


def upgrade() -> None:
    op.execute("ALTER TABLE lakefront.permits ALTER COLUMN plansets TYPE bigint")
    op.execute("ALTER TABLE lakefront.events ALTER COLUMN source TYPE varchar(200)")
"""


async def test_each_view_shows_its_tenants_rows_alone(dsn: str, provisioner: Database) -> None:
    await onboard(provisioner, "acme", "other")
    for tenant in ("acme", "other", CITY):
        await write_rows(dsn, tenant)
    connection = await asyncpg.connect(dsn)
    await connection.execute("SET ROLE lakefront_views")
    for tenant in ("acme", "other", CITY):
        for view in VIEWS:
            rows = await connection.fetch(f"SELECT tenant_id FROM {tenant}.{view}")
            assert {name for (name,) in rows} == {tenant}, view
    parts = await connection.fetch("SELECT part, step, name, status FROM acme.tenant_comprehensive_view ORDER BY 1, 2")
    assert list(map(tuple, parts)) == [
        ("check", None, "acme", "failed"),
        ("step", 1, "acme", "done"),
        ("step", 2, "acme", "done"),
    ]
    await connection.close()


async def test_views_are_barriers_of_a_role_that_cannot_log_in(dsn: str, provisioner: Database) -> None:
    await onboard(provisioner, "acme")
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        """SELECT c.relname, c.reloptions, r.rolname, r.rolcanlogin
           FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
           WHERE c.relnamespace IN ('acme'::regnamespace, 'city'::regnamespace)"""
    )
    await connection.close()
    assert {(name, *rest) for name, options, *rest in rows if options == ["security_barrier=true"]} == {
        (view, "lakefront_views", False) for view in VIEWS
    }
    assert len(rows) == 2 * len(VIEWS)


async def test_a_name_that_needs_quotes(dsn: str, provisioner: Database) -> None:
    name = "o'neil\"; --"
    await onboard(provisioner, name, "acme")
    async with provisioner.transaction("-") as transaction:
        await transaction.execute("SET LOCAL ROLE lakefront_views")
        assert await transaction.fetch(f"SELECT * FROM {tenant_views.identifier(name)}.permits") == []


async def test_onboarding_that_fails_leaves_no_schema(dsn: str, provisioner: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await onboard(provisioner, "acme", "public")
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT to_regnamespace('acme')") is None
    await connection.close()


async def test_a_later_migration_may_change_what_views_show(
    dsn: str, provisioner: Database, tmp_path: Path, parts_folder: Path
) -> None:
    await onboard(provisioner, "acme")
    reader = f"reader_{parts_folder.name.replace('-', '_').lower()}"
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"CREATE ROLE {reader}")
    await connection.execute(f"GRANT USAGE ON SCHEMA acme TO {reader}")
    await connection.execute(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE lakefront_views IN SCHEMA acme GRANT SELECT ON TABLES TO {reader}"
    )
    (tmp_path / "9999_later.py").write_text(LATER.format(before=newest()))
    with pytest.raises(asyncpg.FeatureNotSupportedError):  # the control: views in the way stop it
        await connection.execute("ALTER TABLE lakefront.permits ALTER COLUMN plansets TYPE bigint")
    engine = engine_for(dsn)
    try:
        async with engine.begin() as upgrading:
            await upgrading.run_sync(migrations._upgrade, tmp_path)
        types = (
            "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = $2"
        )
        for tenant in ("acme", CITY):
            assert await connection.fetchval(types, f"{tenant}.permits", "plansets") == "bigint"
            assert await connection.fetchval(types, f"{tenant}.events", "source") == "character varying"
        await connection.execute(f"SET ROLE {reader}")
        assert await connection.fetch("SELECT * FROM acme.permits") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM city.permits")
    finally:
        await connection.execute(f"RESET ROLE; DROP OWNED BY {reader}; DROP ROLE {reader}")
        await connection.close()
        await engine.dispose()
