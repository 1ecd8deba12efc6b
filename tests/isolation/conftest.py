"""The seeded database is made once a run; every test works on a copy of it."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from lakefront.db.embedded import EmbeddedRedis
from tests.databases import Copies
from tests.domain.tenants.logins import remove_logins
from tests.isolation.world import World, opened, seed


class Seeded(NamedTuple):
    """A database with both tenants, and the data folder of the server that filled it, and the tenants' API keys."""

    name: str
    folder: Path
    keys: Mapping[str, str]


@pytest.fixture(scope="session")
async def seeded(
    copies: Copies, template: str, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Seeded]:
    """Both tenants, made once."""
    folder = tmp_path_factory.mktemp("seeded")
    async with copies.of(template, "isolation") as dsn:
        keys = await seed(dsn, redis_server.url, folder)
        yield Seeded("isolation", folder, keys)


@pytest.fixture
async def world(copies: Copies, seeded: Seeded, redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """Both tenants on a server of the test's own."""
    async with opened(copies, seeded.name, seeded.keys, redis_url, seeded.folder, tmp_path) as made:
        yield made
        await remove_logins(made.dsn)
