"""Databases of the run's PostgreSQL, made as copies: a fresh one is a file copy away, a migration is a hundred."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg

from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.migrate import DATABASE_RIGHTS

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
"""A fresh, migrated database until the block ends: its DSN, as superuser."""


class Copies:
    """Makes them, and takes them away, over one connection to the server's own database."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self._connection: asyncpg.Connection[Any] | None = None

    async def execute(self, statement: str) -> None:
        """Run a statement as superuser, outside of every database of a test."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._postgres.dsn("postgres"))
        await self._connection.execute(statement)

    @asynccontextmanager
    async def of(self, template: str, name: str) -> AsyncIterator[str]:
        """A copy of the database ``template`` until the block ends: its DSN, as superuser."""
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            await self.execute(DATABASE_RIGHTS.replace("current_database()", f"'{name}'"))
            yield self._postgres.dsn(name)
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()
