"""A real folder as the store, and sealers as other server processes would run them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from lakefront.adapters.objects import LocalStore
from lakefront.adapters.objects.store import ObjectStore
from lakefront.db.database import READING_THE_LOG, Database
from lakefront.eventlog.backlog import Backlog
from lakefront.eventlog.lake.sealer import Sealer
from lakefront.settings import Settings

OpenSealer = Callable[..., Awaitable[Sealer]]


@pytest.fixture
async def store(tmp_path: Path) -> LocalStore:
    opened = LocalStore(tmp_path / "objects")
    await opened.open()
    return opened


@pytest.fixture
async def open_sealer(dsn: str, store: LocalStore, provisioner: Database) -> AsyncIterator[OpenSealer]:
    """Makes a sealer with connections of its own; further options are settings."""
    async with AsyncExitStack() as stack:

        async def make(
            *,
            at: ObjectStore = store,
            poll: float = 0.02,
            busy: Callable[[], bool] = lambda: False,
            **chosen: Any,
        ) -> Sealer:
            database = Database(dsn, pool_size=2, planner=READING_THE_LOG)
            await database.open()
            stack.push_async_callback(database.close)
            settings = Settings(**chosen)
            sealer = Sealer(database, at, Backlog(provisioner), stream=settings.stream, poll=poll, busy=busy)
            stack.push_async_callback(sealer.close)
            return sealer

        yield make


@pytest.fixture
async def sealer(open_sealer: OpenSealer) -> Sealer:
    """One sealer with the usual settings."""
    return await open_sealer()
