"""The filled database is made once a worker; nothing that is asked changes it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.migrate import DATABASE_RIGHTS
from tests.graphql.fuzz.world import World, world

NAME = "fuzz"


@pytest.fixture(scope="session")
async def filled(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """Both tenants, and the ways to ask them."""
    server = await asyncpg.connect(postgres.dsn("postgres"))
    try:
        await server.execute(f"CREATE DATABASE {NAME} TEMPLATE {template} STRATEGY file_copy")
        admin = await asyncpg.connect(postgres.dsn(NAME))
        await admin.execute(DATABASE_RIGHTS)
        await admin.close()
        async with world(postgres.dsn(NAME), tmp_path_factory.mktemp("objects")) as made:
            yield made
        await server.execute(f"DROP DATABASE {NAME} WITH (FORCE)")
    finally:
        await server.close()
