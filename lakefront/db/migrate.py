"""Bring a database up to date. Several servers may start at once: an advisory lock lets one of them do it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from lakefront.db import tenant_views
from lakefront.db.tables.base import SCHEMA
from lakefront.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

LOCKS_PER_TENANT: Final = 40
"""Locks that a migration takes for each tenant: its views go and come within one transaction."""

DATABASE_RIGHTS = """
DO $$
BEGIN
  EXECUTE format('GRANT CREATE ON DATABASE %I TO lakefront_provisioner', current_database());
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END $$
"""
"""What roles may in the database itself. A copy of it (``TEMPLATE``, a restored dump) does not take that along."""

_LOCK = 0x6C616B65  # "lake": the advisory lock under which migrations run
_STEPS = files("lakefront.db").joinpath("migrations")


def newest() -> str:
    """The revision that this version of the program wants: the steps' files begin with their number."""
    steps = _STEPS.joinpath("versions").iterdir()
    return max(step.name.partition("_")[0] for step in steps if step.name[0].isdigit())


async def pending(dsn: str) -> bool:
    """Whether the database at ``dsn`` lacks a migration that this version of the program has."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        found = await connection.fetchval("SELECT version_num FROM lakefront.alembic_version")
        return bool(found != newest())
    except asyncpg.UndefinedTableError:
        return True
    finally:
        await connection.close()


async def migrate(dsn: str) -> None:
    """Upgrade the database at ``dsn`` to the newest revision; its user may create roles and schemas.

    Tenants' views go before the steps and come back after them, all in one transaction: PostgreSQL needs room for some
    40 locks a tenant (``max_connections`` times ``max_locks_per_transaction``). Raises ``Unavailable``, which says what
    to set, where it has less: nothing is changed then.
    """
    if not await pending(dsn):
        return  # most starts: alembic is not even imported

    engine = engine_for(dsn)
    try:
        with enough_locks():
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


@contextmanager
def enough_locks() -> Iterator[None]:
    """Tell what to do where PostgreSQL has no room for the locks of a migration."""
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != asyncpg.OutOfMemoryError.sqlstate:
            raise
        told = "PostgreSQL has no room for the locks of this migration; nothing was changed."
        raise Unavailable(
            f"{told} Set max_locks_per_transaction so that, times max_connections, it is {LOCKS_PER_TENANT} for each "
            "tenant or more, restart PostgreSQL and migrate again. `lakefront doctor` tells the number."
        ) from error


def engine_for(dsn: str) -> "AsyncEngine":
    """An engine for alembic, which wants one; nothing else does."""
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - brings the whole ORM, as dear as alembic

    async def connect() -> Any:
        return await asyncpg.connect(dsn)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


def _upgrade(connection: Connection, *further: Path) -> None:
    """Take the steps that are due, also those of folders ``further``."""
    from alembic import command  # noqa: PLC0415 - a tenth of a second that most starts need not spend
    from alembic.config import Config  # noqa: PLC0415

    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    config = Config()
    config.set_main_option("script_location", str(_STEPS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(map(str, (_STEPS.joinpath("versions"), *further))))
    config.attributes["connection"] = connection
    tenant_views.drop_all(connection)
    command.upgrade(config, "head")
    connection.execute(text(DATABASE_RIGHTS))
    tenant_views.create_all(connection)
