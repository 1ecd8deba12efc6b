"""The filled database is made once a worker; nothing that is asked changes it."""

from collections.abc import AsyncIterator

import pytest

from tests.databases import Copies
from tests.graphql.fuzz.world import World, world

NAME = "fuzz"


@pytest.fixture(scope="session")
async def filled(copies: Copies, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Both tenants, and the ways to ask them."""
    async with copies.of(template, NAME) as dsn, world(dsn, tmp_path_factory.mktemp("objects")) as made:
        yield made
