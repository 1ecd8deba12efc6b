"""A slow PostgreSQL: statements that wait for a lock, and one who looks at them from outside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

_WORKING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND wait_event_type = 'Lock'
"""


class Watcher:
    """Looks at the statements that wait for the lock."""

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        self._connection = connection

    async def count(self) -> int:
        """How many wait now."""
        count: int = await self._connection.fetchval(_WORKING)
        return count

    async def working(self, least: int = 1) -> None:
        """Wait until at least so many do."""
        async with asyncio.timeout(5):
            while await self.count() < least:  # noqa: ASYNC110 - PostgreSQL sets no event
                await asyncio.sleep(0.02)

    async def stopped(self) -> None:
        """Wait until none does: a second, no longer."""
        async with asyncio.timeout(1):
            while await self.count():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)


@asynccontextmanager
async def locked(dsn: str, table: str = "permits") -> AsyncIterator[Watcher]:
    """Nobody reads ``table`` within the block: every statement that does is a slow one."""
    # Within a transaction the activity stays what it was when it was first looked at: so there are two of us.
    locker, watcher = [await asyncpg.connect(dsn) for _ in range(2)]
    try:
        async with locker.transaction():
            await locker.execute(f"LOCK TABLE lakefront.{table} IN ACCESS EXCLUSIVE MODE")
            yield Watcher(watcher)
    finally:
        await locker.close()
        await watcher.close()
