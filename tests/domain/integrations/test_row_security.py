"""What each database role may do with cities and integrations, whatever statement is sent (T3)."""

import asyncpg
import pytest

from lakefront.db.database import APP_ROLE, PROVISIONER_ROLE, VIEWS_ROLE, Database, connect
from tests.domain.integrations.keepers import ACME, SECRET, Keeping

TABLES = ("cities", "integrations", "integration_changes")


@pytest.fixture(autouse=True)
async def _rows(keeping: Keeping) -> None:
    for tenant in (ACME, "globex"):
        await keeping.add_city(tenant=tenant)
        await keeping.put(tenant, credentials={"api_key": f"{SECRET} of {tenant}"})


@pytest.mark.parametrize("table", TABLES)
async def test_a_tenant_sees_and_writes_its_own_rows(dsn: str, table: str) -> None:
    connection = await connect(dsn, APP_ROLE)
    try:
        assert await connection.fetchval(f"SELECT count(*) FROM lakefront.{table}") == 0, "no tenant is set"
        for tenant in (ACME, "globex", "nobody"):
            await connection.execute("SELECT set_config('lakefront.tenant', $1, false)", tenant)
            seen = await connection.fetch(f"SELECT DISTINCT tenant_id FROM lakefront.{table}")
            assert [row["tenant_id"] for row in seen] == ([tenant] if tenant != "nobody" else [])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"INSERT INTO lakefront.{table} SELECT * FROM lakefront.{table}" + _AS_ACME[table])
    finally:
        await connection.close()


_AS_ACME = {
    "cities": " UNION ALL SELECT 'acme_corp', 'x', 'x', NULL, NULL, NULL, now(), now()",
    "integrations": " UNION ALL SELECT 'acme_corp', 'x', '', '', '', repeat('x', 40)::bytea, '', '{}', NULL, true, 1, "
    "now(), now(), ''",
    "integration_changes": " UNION ALL SELECT 'acme_corp', 'x', '', 1, now(), '', NULL, ARRAY['x']",
}
"""A row of another tenant than the one that is set."""


async def test_what_was_done_cannot_be_undone_by_the_application(dsn: str, database: Database) -> None:
    for statement in (
        "UPDATE lakefront.integration_changes SET changed_by = 'somebody else'",
        "DELETE FROM lakefront.integration_changes",
        "DELETE FROM lakefront.integrations",
        "DELETE FROM lakefront.cities",
        "TRUNCATE lakefront.integration_changes",
        "ALTER TABLE lakefront.integrations DISABLE TRIGGER integrations_changed",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction(ACME) as transaction:
                await transaction.execute(statement)


async def test_the_provisioner_sees_whose_rows_there_are_and_nothing_of_them(dsn: str) -> None:
    connection = await connect(dsn, PROVISIONER_ROLE)
    try:
        rows = await connection.fetch("SELECT tenant_id, key_id FROM lakefront.integrations ORDER BY 1")
        assert [row["tenant_id"] for row in rows] == [ACME, "globex"]
        for statement in (
            "SELECT credentials FROM lakefront.integrations",
            "SELECT * FROM lakefront.integrations",
            "UPDATE lakefront.integrations SET key_id = 'x'",
            "SELECT * FROM lakefront.integration_changes",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_logins_for_bi_tools_see_none_of_it(dsn: str) -> None:
    connection = await connect(dsn, VIEWS_ROLE)
    try:
        for table in TABLES:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SELECT * FROM lakefront.{table}")
    finally:
        await connection.close()
