"""Bring a database up to date. Several servers may start at once: an advisory lock lets one of them do it."""

from importlib.resources import files
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from lakefront.db.tables.base import SCHEMA

_LOCK = 0x6C616B65  # "lake": the advisory lock under which migrations run


def config() -> Config:
    """Alembic's configuration, without a file beside the package."""
    made = Config()
    made.set_main_option("script_location", str(files("lakefront.db").joinpath("migrations")))
    return made


def _engine(dsn: str) -> AsyncEngine:
    async def connect() -> Any:
        return await asyncpg.connect(dsn)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


async def migrate(dsn: str, revision: str = "head") -> None:
    """Upgrade the database at ``dsn`` (its user may create roles and schemas) to ``revision``."""

    def upgrade(connection: Connection) -> None:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)

    engine = _engine(dsn)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


async def pending(dsn: str) -> bool:
    """Whether the database at ``dsn`` lacks a migration that this version of the program has."""

    def current(connection: Connection) -> str | None:
        context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
        return context.get_current_revision()

    engine = _engine(dsn)
    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(current)
    finally:
        await engine.dispose()
    return found != ScriptDirectory.from_config(config()).get_current_head()
