"""Fixtures of the doors' tests."""

from collections.abc import AsyncIterator

import pytest

from lakefront.settings import Settings
from tests.databases import NewDatabase
from tests.server.sockets import Door, opened
from tests.server.wired import Wired, wired


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened(socket_operations=3, allowed_origins=("https://app.example",)) as door:
        yield door


@pytest.fixture(scope="session")
async def standing(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wired]:
    """One server for all tests that change nothing; it has no events, and nobody has a limit."""
    async with new_database() as dsn:
        settings = Settings(port=0, data=tmp_path_factory.mktemp("standing"), database_url=dsn, rate_limits="off")
        async with wired(settings) as made:
            yield made
