"""The seeded database is made once a run; every test works on a copy of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lakefront.db.embedded import EmbeddedPostgres, EmbeddedRedis
from tests.isolation.world import World, clone, opened, seed


class Seeded(NamedTuple):
    """A database with both tenants, and the data folder of the server that filled it."""

    name: str
    folder: Path


@pytest.fixture(scope="session")
async def seeded(
    postgres: EmbeddedPostgres, template: str, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Seeded]:
    """Both tenants, made once."""
    folder = tmp_path_factory.mktemp("seeded")
    async with clone(postgres, template, "isolation") as dsn:
        await seed(dsn, redis_server.url, folder)
        yield Seeded("isolation", folder)


@pytest.fixture
async def world(postgres: EmbeddedPostgres, seeded: Seeded, redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """Both tenants on a server of the test's own."""
    async with opened(postgres, seeded.name, redis_url, seeded.folder, tmp_path) as made:
        yield made
