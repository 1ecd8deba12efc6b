"""The database for the time of a command: the one of DATABASE_URL, of a running server, or started for the purpose."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from lakefront.adapters.objects import ObjectStore, open_store
from lakefront.db.database import Database
from lakefront.db.embedded import EmbeddedError, EmbeddedParts, EmbeddedPostgres
from lakefront.db.migrate import migrate, pending
from lakefront.errors import NotFound, Unavailable
from lakefront.settings import Settings


@asynccontextmanager
async def database_of(settings: Settings) -> AsyncIterator[str]:
    """Yield the DSN of a PostgreSQL that answers.

    Without DATABASE_URL: the server on the data folder lends its own; if none runs, PostgreSQL is started under the
    folder's lock and stopped at the end. Raises ``EmbeddedError``.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    if (lent := await running(settings)) is not None:
        yield lent
        return
    parts = EmbeddedParts(settings.data, postgres=True, redis=False)
    await parts.start()
    try:
        assert parts.postgres is not None
        yield parts.postgres.dsn()
    finally:
        await parts.stop()


async def running(settings: Settings) -> str | None:
    """Return the DSN of the embedded PostgreSQL if a server runs it now."""
    try:
        dsn = EmbeddedPostgres(settings.data / "postgres").dsn()
        connection = await asyncpg.connect(dsn, timeout=5)
    except (EmbeddedError, OSError, TimeoutError, asyncpg.PostgresError):
        return None
    await connection.close()
    return dsn


@asynccontextmanager
async def open_objects(settings: Settings) -> AsyncIterator[ObjectStore]:
    """Yield the store of the lake's objects; raises ``EmbeddedError`` if OBJECT_STORE_URL names none."""
    try:
        store = open_store(settings.object_store_url, settings.data)
    except ValueError as wrong:
        raise EmbeddedError(str(wrong)) from wrong
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Yield the application's door to ``database_of``; raises ``Unavailable`` if that is not up to date.

    Our own PostgreSQL is brought up to date; one from outside is its operator's to migrate.
    """
    if settings.embedded_postgres and not (settings.data / "postgres").exists():
        raise EmbeddedError(f"no server has ever run on {settings.data}, so there is nothing to work on; check --data")
    async with database_of(settings) as dsn:
        if await pending(dsn):
            if not settings.embedded_postgres:
                raise Unavailable("The database is not up to date. Run `lakefront migrate` first.")
            await migrate(dsn)
        database = Database(dsn, pool_size=2, statement_timeout=600)
        await database.open()
        try:
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def open_tenant(settings: Settings, tenant: str) -> AsyncIterator[Database]:
    """Yield ``open_database`` for work on the data of ``tenant``; raises ``NotFound`` where there is none."""
    async with open_database(settings) as database:
        async with database.transaction(tenant) as transaction:
            known = await transaction.fetch("SELECT 1 FROM tenants.tenant_profiles WHERE tenant_id = $1", tenant)
        if not known:
            raise NotFound(f"There is no tenant '{tenant}' here. Check --tenant and --data.")
        yield database
