"""SQL under the application's role, its tenant set: no statement reaches another tenant's row (T3)."""

from typing import Any

import asyncpg
import pytest

from lakefront.db.database import APP_ROLE
from tests.isolation.leaks import MARKERS, Digest, Leak, digest, other, tables, told, unchanged
from tests.isolation.world import World


async def attack(world: World, attacker: str) -> None:
    """Read, change, delete and insert in every table that has tenants, as ``attacker``; raises ``Leak``."""
    victim = other(attacker)
    before = await digest(world.admin, victim)
    connection = await asyncpg.connect(world.dsn, server_settings={"role": APP_ROLE})
    try:
        for table in (await tables(world.admin))[0]:
            mine: int = await world.admin.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", attacker)
            for statement in await statements(world.admin, table, attacker, victim):
                said, rows, after = await run(connection, attacker, statement)
                told(f"{statement!r} as {attacker}", said, MARKERS[victim])
                unchanged(before, after or before)
                if rows > mine:
                    raise Leak(f"{statement!r} as {attacker} told of {rows} rows; {attacker} has {mine}")
    finally:
        await connection.close()


async def statements(admin: "asyncpg.Connection[Any]", table: str, attacker: str, victim: str) -> list[str]:
    """Everything that SQL can do to a table's rows."""
    columns = await admin.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped "
        "AND attgenerated = ''",
        table,
    )
    names = ", ".join(f'"{row["attname"]}"' for row in columns)
    as_mine = names.replace('"tenant_id"', f"'{attacker}'")
    as_theirs = names.replace('"tenant_id"', f"'{victim}'")
    return [
        f"SELECT * FROM {table}",
        f"SELECT * FROM {table} WHERE tenant_id = '{victim}'",
        f"SELECT * FROM {table} WHERE tenant_id <> '{attacker}' FOR UPDATE",
        f"UPDATE {table} SET tenant_id = '{victim}' RETURNING *",
        f"UPDATE {table} SET tenant_id = '{attacker}' WHERE tenant_id = '{victim}' RETURNING *",
        f"DELETE FROM {table} WHERE tenant_id = '{victim}' RETURNING *",
        f"DELETE FROM {table} RETURNING *",
        f"INSERT INTO {table} ({names}) SELECT {as_theirs} FROM {table} RETURNING *",
        f"INSERT INTO {table} ({names}) SELECT {as_mine} FROM {table} WHERE tenant_id = '{victim}' RETURNING *",
        f"INSERT INTO {table} ({names}) SELECT {as_theirs} FROM {table} ON CONFLICT DO NOTHING RETURNING *",
        f"TRUNCATE {table}",
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        f"GRANT ALL ON {table} TO PUBLIC",
    ]


async def run(connection: "asyncpg.Connection[Any]", tenant: str, statement: str) -> tuple[str, int, Digest | None]:
    """What ``statement`` says in a transaction that is rolled back, how many rows, and what it made of the victim's.

    The last is ``None`` where it failed.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SELECT set_config('lakefront.tenant', $1, true)", tenant)
        rows = await connection.fetch(statement)
        await connection.execute("SET LOCAL ROLE NONE")  # the superuser who signed in
        return "\n".join(str(dict(row)) for row in rows), len(rows), await digest(connection, other(tenant))
    except asyncpg.PostgresError as refused:
        return f"{refused} {refused.as_dict()}", 0, None
    finally:
        await transaction.rollback()


@pytest.mark.parametrize("attacker", MARKERS)
async def test_no_statement_reaches_another_tenants_row(world: World, attacker: str) -> None:
    await attack(world, attacker)
