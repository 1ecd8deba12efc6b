"""Real parts for every test: one embedded PostgreSQL and one Redis a run, a fresh migrated database a test."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import cache
from itertools import count
from pathlib import Path

import hypothesis
import pytest
from httpx._transports import default as transports
from joserfc._rfc7517 import pem
from redis.asyncio import Redis

from lakefront.actor import Actor, system_actor
from lakefront.db.database import PROVISIONER_ROLE, Database
from lakefront.db.embedded import EmbeddedPostgres, EmbeddedRedis
from lakefront.db.migrate import migrate
from lakefront.domain.services import Services
from tests.databases import Copies, NewDatabase
from tests.memory import use_memory
from tests.services import working
from tests.skips import pytest_runtest_makereport  # noqa: F401 - a hook of every test

TEMPLATE = "lakefront_template"

PARAMETERS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200", "max_wal_size": "128MB"}
"""Settings of the run's PostgreSQL: no test cuts its power, and what it writes may be in memory."""

hypothesis.settings.register_profile("lakefront", deadline=None)  # machines are shared and noisy
hypothesis.settings.load_profile("lakefront")
use_memory()
# To read all authorities' certificates takes a client 30 ms, though it may never speak TLS: they read them together.
transports.create_ssl_context = cache(transports.create_ssl_context)  # type: ignore[attr-defined]
# OpenSSL proves the primes of a private key that it reads, which takes 40 ms; most servers of a run have the same key.
pem.load_pem_private_key = cache(pem.load_pem_private_key)  # type: ignore[assignment, attr-defined]
_numbers = count()


@pytest.fixture(scope="session")
def parts_folder() -> Iterator[Path]:
    """A short private folder for the run's embedded parts."""
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:
        yield Path(folder)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """As ``tmp_path``, with a path that is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
async def postgres(parts_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """PostgreSQL for the whole run; without fsync, as no test cuts the power."""
    server = EmbeddedPostgres(parts_folder / "postgres", parameters=PARAMETERS)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="session")
async def copies(postgres: EmbeddedPostgres) -> AsyncIterator[Copies]:
    """Makes databases as copies of others."""
    made = Copies(postgres)
    yield made
    await made.close()


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedPostgres, copies: Copies) -> str:
    """The name of a migrated database that tests are cloned from."""
    await copies.execute(f"CREATE DATABASE {TEMPLATE}")
    await migrate(postgres.dsn(TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
def new_database(copies: Copies, template: str) -> NewDatabase:
    """Makes fresh, migrated databases: for what is there longer than one test."""
    return lambda: copies.of(template, f"test_{next(_numbers)}")


@pytest.fixture
async def dsn(new_database: NewDatabase) -> AsyncIterator[str]:
    """A fresh, migrated database of the test's own: its DSN (as superuser)."""
    async with new_database() as made:
        yield made


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """The application's door to the test's database."""
    opened = Database(dsn)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def provisioner(dsn: str) -> AsyncIterator[Database]:
    """The door of the role that sees and makes tenants."""
    opened = Database(dsn, pool_size=2, role=PROVISIONER_ROLE)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def signing_in(dsn: str) -> AsyncIterator[Database]:
    """The same role's, for signing in alone."""
    opened = Database(dsn, pool_size=2, role=PROVISIONER_ROLE)
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


@pytest.fixture
def actor() -> Actor:
    """One who may do everything in the city's tenant."""
    return system_actor()


@pytest.fixture
async def services(
    database: Database, provisioner: Database, signing_in: Database, tmp_path: Path
) -> AsyncIterator[Services]:
    """What use-cases work with, on the test's database, its projection running; quotas are off."""
    async with working(database, provisioner, signing_in, tmp_path / "objects") as made:
        yield made
