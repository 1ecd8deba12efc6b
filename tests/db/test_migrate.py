"""The migrations: they make what the tables declare, once, under roles that cannot do more than they should."""

from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from lakefront.db.database import APP_ROLE, Database, connect
from lakefront.db.migrate import engine_for, enough_locks, migrate, pending
from lakefront.db.tables import metadata, permits
from lakefront.errors import Unavailable


async def test_migrations_make_what_the_tables_declare(dsn: str) -> None:
    def compare(connection: Connection) -> Any:
        options = {"include_schemas": True, "version_table_schema": "lakefront"}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    engine = engine_for(dsn)
    async with engine.connect() as connection:
        assert await connection.run_sync(compare) == []
    await engine.dispose()


async def test_migrating_twice_changes_nothing(dsn: str) -> None:
    await migrate(dsn)
    assert not await pending(dsn)


async def test_no_room_for_locks_says_what_to_set(dsn: str) -> None:
    engine = engine_for(dsn)
    fail = "DO $$ BEGIN RAISE EXCEPTION 'out of shared memory' USING ERRCODE = '{}'; END $$"
    for code, expected in (("53200", Unavailable), ("53100", DBAPIError)):
        with pytest.raises(expected) as caught, enough_locks():
            async with engine.begin() as connection:
                await connection.execute(text(fail.format(code)))
        assert ("Set max_locks_per_transaction" in str(caught.value)) is (code == "53200")
    await engine.dispose()


async def test_every_table_with_a_tenant_has_row_security(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        """SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner) AS owner
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
           WHERE c.relnamespace = 'lakefront'::regnamespace AND c.relkind IN ('r', 'p')"""
    )
    await connection.close()
    assert rows
    for name, secured, forced, owner in rows:
        assert secured, name
        assert forced or owner == "lakefront_appender", name


async def test_the_application_owns_nothing_and_cannot_write_the_log(dsn: str) -> None:
    connection = await connect(dsn, APP_ROLE)
    for statement in (
        "DELETE FROM lakefront.events",
        "UPDATE lakefront.heads SET next = 0",
        "SELECT * FROM lakefront.event_keys",
        "ALTER TABLE lakefront.permits DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE lakefront.mine (x int)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def test_a_row_is_seen_and_written_only_as_its_tenant(dsn: str, database: Database) -> None:
    row = (
        "INSERT INTO lakefront.permits (tenant_id, permit_id, updated_at, field_versions) VALUES ($1, 'p', now(), '[]')"
    )
    async with database.transaction("one") as transaction:
        await transaction.execute(row, "one")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction("one") as transaction:
            await transaction.execute(row, "two")
    everything = permits.permits.select()
    assert [found["permit_id"] for found in await database.rows("one", everything)] == ["p"]
    assert await database.rows("two", everything) == []
    assert await database.rows("one'; --", everything) == []
    async with database.transaction("two") as transaction:
        assert await transaction.fetch(everything) == []
