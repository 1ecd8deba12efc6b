"""How many tries calls may add to their first ones: when all fail, trying again must not be what keeps it so."""

import time
from collections.abc import Callable
from typing import Final

RESERVE: Final = 10.0
"""Tries again that are saved up at most, and there at the start: a single call needs no others before it."""

TRICKLE: Final = 0.5
"""Tries again that come back in a second where there are few calls."""


class RetryBudget:
    """Every call puts ``ratio`` of a try in, every try again takes a whole one out."""

    def __init__(self, ratio: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` in seconds."""
        self._ratio = ratio
        self._clock = clock
        self._saved = RESERVE
        self._at = clock()

    def call(self) -> None:
        """A call begins."""
        self._saved = min(RESERVE, self._saved + self._ratio)

    def take(self) -> bool:
        """Whether one try more may be made."""
        now = self._clock()
        self._saved = min(RESERVE, self._saved + (now - self._at) * TRICKLE)
        self._at = now
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
