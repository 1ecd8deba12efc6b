"""So many requests of one endpoint at once: a slow provider holds up those who want it, and nobody else."""

import asyncio
from types import TracebackType


class Full(Exception):
    """No room became free in time, or too many wait already."""


class Bulkhead:
    """``at_once`` rooms; ``waiting`` may wait for one, ``patience`` seconds at most. In order of coming."""

    def __init__(self, at_once: int, *, waiting: int, patience: float) -> None:
        self._rooms = asyncio.Semaphore(at_once)
        self._most_waiting = waiting
        self._patience = patience
        self._waiting = 0

    async def __aenter__(self) -> None:
        """Take a room; raises ``Full``."""
        if not self._rooms.locked():
            await self._rooms.acquire()  # at once, as one is free
            return
        if self._waiting >= self._most_waiting:
            raise Full
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._rooms.acquire()
        except TimeoutError:
            raise Full from None
        finally:
            self._waiting -= 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it."""
        self._rooms.release()
