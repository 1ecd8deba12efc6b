"""The made-up city for files whose tests change nothing: with these fixtures for theirs, they all share one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NamedTuple

import asyncpg
import pytest

from lakefront.db.database import PROVISIONER_ROLE, Database
from lakefront.domain.services import Services
from tests.city import settle
from tests.databases import NewDatabase
from tests.graphql.conftest import RecordingDatabase
from tests.services import working


class Standing(NamedTuple):
    """What stands, and its record of what ran."""

    services: Services
    recorder: RecordingDatabase


@pytest.fixture(scope="session")
async def standing(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Standing]:
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(new_database())
        owner = await asyncpg.connect(dsn)
        await settle(owner)
        await owner.close()
        database, recorder = Database(dsn), RecordingDatabase(dsn)
        provisioner, signing_in = (Database(dsn, pool_size=2, role=PROVISIONER_ROLE) for _ in range(2))
        for door in (database, recorder, provisioner, signing_in):
            await door.open()
            stack.push_async_callback(door.close)
        services = working(database, provisioner, signing_in, tmp_path_factory.mktemp("standing"))
        yield Standing(await stack.enter_async_context(services), recorder)


@pytest.fixture
def services(standing: Standing) -> Services:
    return standing.services


@pytest.fixture
def recorder(standing: Standing) -> RecordingDatabase:
    standing.recorder.statements.clear()
    return standing.recorder


@pytest.fixture
def city(standing: Standing) -> None:
    """It is there."""


STANDING = (city, recorder, services, standing)
"""For the top of such a file: ``city, recorder, services, standing = STANDING``."""
