"""When the log's workers look again: when woken, after a pause at the latest, and once appends have passed."""

import asyncio
import time
from collections.abc import Callable


class Bell:
    """Wakes one worker. Rung while the worker is busy, it is heard at its next ``wait``, until ``quiet``."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """There may be something new."""
        self._rung.set()

    def quiet(self) -> None:
        """What was rung so far is about to be looked at."""
        self._rung.clear()

    async def wait(self, seconds: float) -> None:
        """Return when it rings, or after ``seconds``: the slow look that needs no notice."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return


async def lull(busy: Callable[[], bool], patience: float) -> None:
    """Return when appends are not ``busy`` any more, after ``patience`` seconds at the latest.

    Somebody waits for appends, so a worker that is behind lets them pass; under a flood its work comes later, but it
    comes.
    """
    until = time.monotonic() + patience
    while busy() and time.monotonic() < until:  # noqa: ASYNC110 - many threads of work, no one event
        await asyncio.sleep(0.005)
