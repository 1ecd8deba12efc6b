"""Wait until a projection has taken in what the log has: who follows events and reads its rows sees them match."""

import asyncio
import logging

from lakefront.db.database import Database
from lakefront.eventlog.events import Offsets
from lakefront.eventlog.projections.runner import Projection

_log = logging.getLogger(__name__)


class Progress:
    """How far the projections of all processes are; ``note`` is called with each of their notices."""

    def __init__(self, database: Database, *, poll: float = 0.25) -> None:
        """``poll``: seconds between looks when no notice comes."""
        self._database = database
        self._poll = poll
        self._moved = asyncio.Event()
        self._reached: dict[tuple[str, str, int], int] = {}

    def note(self) -> None:
        """A projection moved somewhere: those who wait look again."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def reach(self, tenant: str, projection: Projection, position: Offsets, *, patience: float = 5.0) -> bool:
        """Wait until ``projection`` has folded all before ``position``; False after ``patience`` seconds."""
        try:
            async with asyncio.timeout(patience):
                while True:
                    moved = self._moved
                    if await self._has(tenant, projection, position):
                        return True
                    await self._wait(moved)
        except TimeoutError:
            _log.warning("projection %s is more than %.0f s behind the log", projection.name, patience)
            return False

    async def _wait(self, moved: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await moved.wait()
        except TimeoutError:
            return

    async def _has(self, tenant: str, projection: Projection, position: Offsets) -> bool:
        keys = {(tenant, projection.name, shard): offset for shard, offset in position.items() if offset}
        if all(self._reached.get(key, 0) >= offset for key, offset in keys.items()):
            return True
        async with self._database.transaction(tenant) as transaction:
            rows = await transaction.fetch(
                "SELECT shard, next FROM lakefront.consumer_offsets "
                "WHERE tenant_id = $1 AND consumer = $2 AND stream = $3",
                *(tenant, projection.name, projection.stream),
            )
        self._reached |= {(tenant, projection.name, shard): reached for shard, reached in rows}
        return all(self._reached.get(key, 0) >= offset for key, offset in keys.items())
