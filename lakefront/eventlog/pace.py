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


class Rests:
    """Who failed is left alone for a while, so that others need not wait: twice as long each time."""

    def __init__(self, first: float, longest: float = 30.0) -> None:
        """``first`` and ``longest``: seconds."""
        self._first = first
        self._longest = longest
        self._resting: dict[str, tuple[float, float]] = {}

    def has(self, who: str) -> bool:
        """Whether ``who`` rests now."""
        return time.monotonic() < self._resting.get(who, (0.0, 0.0))[0]

    def begin(self, who: str) -> None:
        """``who`` failed."""
        _, before = self._resting.get(who, (0.0, 0.0))
        seconds = min(max(self._first, 2 * before), self._longest)
        self._resting[who] = (time.monotonic() + seconds, seconds)

    def end(self, who: str) -> None:
        """``who`` did well."""
        self._resting.pop(who, None)

    def clear(self) -> None:
        """Everybody may try again."""
        self._resting.clear()


async def lull(busy: Callable[[], bool], patience: float) -> None:
    """Return when appends are not ``busy`` any more, after ``patience`` seconds at the latest.

    Somebody waits for appends, so a worker that is behind lets them pass; under a flood its work comes later, but it
    comes.
    """
    until = time.monotonic() + patience
    while busy() and time.monotonic() < until:  # noqa: ASYNC110 - many threads of work, no one event
        await asyncio.sleep(0.005)
