"""Logs on the test's own database; each one opened here is closed here."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from lakefront.db.database import APPENDER_ROLE, connect
from lakefront.eventlog.postgres import PostgresLog

OpenLog = Callable[..., Awaitable[PostgresLog]]


@pytest.fixture
async def open_log(dsn: str) -> AsyncIterator[OpenLog]:
    """Opens a log as another server process would: with connections, committers and followers of its own."""
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> PostgresLog:
            log = PostgresLog(dsn, **options)
            await log.open()
            stack.push_async_callback(log.close)
            return log

        yield make


@pytest.fixture
async def log(open_log: OpenLog) -> PostgresLog:
    """One log with the usual settings."""
    return await open_log()


@pytest.fixture
async def appender(dsn: str) -> AsyncIterator[Any]:
    """A connection under the role that owns the log's tables, to look at what is stored."""
    connection = await connect(dsn, APPENDER_ROLE)
    yield connection
    await connection.close()
