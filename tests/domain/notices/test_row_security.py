"""What each database role may do with rules, webhooks and notices, whatever statement is sent (T3)."""

import asyncpg
import pytest

from lakefront.db.database import APP_ROLE, PROVISIONER_ROLE, VIEWS_ROLE, connect
from lakefront.domain.notices import Channel
from tests.domain.notices.house import House

TABLES = ("webhooks", "notice_rules", "notices")


@pytest.fixture(autouse=True)
async def _rows(house: House) -> None:
    hook = await house.webhook()
    await house.rule(Channel.WEBHOOK, webhook_id=hook.webhook.webhook_id)
    await house.happens()
    await house.plan()


@pytest.mark.parametrize("table", TABLES)
async def test_a_tenant_sees_its_own_rows(dsn: str, table: str) -> None:
    connection = await connect(dsn, APP_ROLE)
    try:
        assert await connection.fetchval(f"SELECT count(*) FROM lakefront.{table}") == 0, "no tenant is set"
        for tenant, there in (("city", 1), ("acme_corp", 0)):
            await connection.execute("SELECT set_config('lakefront.tenant', $1, false)", tenant)
            assert await connection.fetchval(f"SELECT count(*) FROM lakefront.{table}") == there
        await connection.execute("SELECT set_config('lakefront.tenant', 'city', false)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"UPDATE lakefront.{table} SET tenant_id = 'acme_corp'")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"TRUNCATE lakefront.{table}")
    finally:
        await connection.close()


async def test_the_provisioner_sees_whose_webhooks_there_are_and_nothing_of_them(dsn: str) -> None:
    connection = await connect(dsn, PROVISIONER_ROLE)
    try:
        [(tenant, _)] = await connection.fetch("SELECT tenant_id, key_id FROM lakefront.webhooks")
        assert tenant == "city"
        for statement in (
            "SELECT secrets FROM lakefront.webhooks",
            "UPDATE lakefront.webhooks SET key_id = 'x'",
            "SELECT * FROM lakefront.notice_rules",
            "SELECT * FROM lakefront.notices",
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
