"""Places for operations that run: so many at once, and a queue of bounded length and patience before them."""

import asyncio
from typing import Final

from lakefront.errors import Unavailable

QUEUE_TIMEOUT: Final = 5.0
"""Seconds an operation waits for its turn before it is told to come again."""

QUEUE_LENGTH: Final = 10
"""Operations that wait, for each one that may run."""


class Turns(asyncio.Semaphore):
    """At most ``most`` at once; as a semaphore it waits without end, by ``take`` only for so long."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most
        self.waiting = 0
        """How many wait in ``take``."""

    @property
    def taken(self) -> int:
        """How many run."""
        return self.most - self._value

    def take_at_once(self) -> bool:
        """Take a place if one is free."""
        if self.locked():
            return False
        self._value -= 1
        return True

    async def take(self) -> None:
        """Wait for a place, to be given back by ``release``; raises ``Unavailable`` when the queue is long or slow."""
        if self.take_at_once():
            return
        if self.waiting >= QUEUE_LENGTH * self.most:
            raise Unavailable("Too many operations are waiting. Send this one again after Retry-After seconds.")
        self.waiting += 1
        try:
            async with asyncio.timeout(QUEUE_TIMEOUT):
                await self.acquire()
        except TimeoutError:
            raise Unavailable("No operation ended in time. Send this one again after Retry-After seconds.") from None
        finally:
            self.waiting -= 1
