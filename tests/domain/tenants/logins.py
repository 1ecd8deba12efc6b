"""Signing in as tenants' logins for BI tools, and removing them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from lakefront.domain.tenants.bi import BiLogin


@asynccontextmanager
async def sign_in(dsn: str, login: BiLogin) -> AsyncIterator[Any]:
    """A connection as ``login``."""
    connection = await asyncpg.connect(dsn, user=login.login, password=login.password)
    try:
        yield connection
    finally:
        connection.terminate()


async def remove_logins(dsn: str) -> None:
    """Drop every login, however it was made: roles outlive the test's database."""
    operator = await asyncpg.connect(dsn)
    try:
        for (name,) in await operator.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE '%\\_bi'"):
            await operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", name)
            await operator.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    finally:
        await operator.close()
