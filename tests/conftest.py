"""Real parts for every test: one embedded PostgreSQL and one Redis a run, a fresh migrated database a test."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from lakefront.db.database import Database
from lakefront.db.embedded import EmbeddedPostgres, EmbeddedRedis
from lakefront.db.migrate import migrate

TEMPLATE = "lakefront_template"
_numbers = count()


@pytest.fixture(scope="session")
def parts_folder() -> Iterator[Path]:
    """A short private folder for the run's embedded parts."""
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
async def postgres(parts_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """PostgreSQL for the whole run; without fsync, as no test cuts the power."""
    server = EmbeddedPostgres(
        parts_folder / "postgres", parameters={"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedPostgres) -> str:
    """The name of a migrated database that tests are cloned from."""
    await _execute(postgres.dsn("postgres"), f"CREATE DATABASE {TEMPLATE}")
    await migrate(postgres.dsn(TEMPLATE))
    return TEMPLATE


@pytest.fixture
async def dsn(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """A fresh, migrated database of the test's own: its DSN (as superuser)."""
    name = f"test_{next(_numbers)}"
    await _execute(postgres.dsn("postgres"), f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield postgres.dsn(name)
    await _execute(postgres.dsn("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """The application's door to the test's database."""
    opened = Database(dsn)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def redis_server(parts_folder: Path) -> AsyncIterator[EmbeddedRedis]:
    """Redis for the whole run."""
    server = EmbeddedRedis(parts_folder / "redis")
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def redis_url(redis_server: EmbeddedRedis) -> str:
    """The URL of an empty Redis."""
    async with Redis.from_url(redis_server.url) as client:
        await client.flushall()
    return redis_server.url


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
