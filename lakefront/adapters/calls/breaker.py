"""The circuit breaker (C1): who keeps failing is left alone for a while, then asked carefully.

Closed, it looks at the last 20 outcomes and opens when half of 20 are failures. Open, it lets nobody through until its
pause is over. Half open, it lets probes through, one at a time: three good ones in a row close it, a bad one opens it
again for twice as long. It is local to a replica: what fails from here may be well from there.
"""

import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import NewType

from lakefront.adapters.calls.policy import Policy

Entry = NewType("Entry", int)
"""Whoever was let through, to say by it how it went."""


class State(StrEnum):
    """As operators know them."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Open(Exception):
    """Nobody is let through for ``wait`` seconds."""

    def __init__(self, wait: float) -> None:
        self.wait = wait
        super().__init__(f"the breaker is open for {wait:.1f} s")


class Breaker:
    """One endpoint's breaker; ``clock`` in seconds."""

    def __init__(self, policy: Policy, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._most_failures = policy.window * policy.failing
        self._outcomes: deque[bool] = deque(maxlen=policy.window)
        self.state = State.CLOSED
        self.open_since: float | None = None
        """On the clock, when it was closed last; half open still counts as open, for whoever is to be told (C2)."""
        self._pause = policy.open_pause
        self._retry_at = 0.0
        self._held = 0
        self._probing = False
        # Grows with each change: who was let through before has no say in what is now.
        self._era = 0

    @property
    def open_seconds(self) -> float:
        """For how long it has not been closed; 0 while it is."""
        return 0.0 if self.open_since is None else self._clock() - self.open_since

    @property
    def wait(self) -> float:
        """Seconds for which nobody is let through; 0: somebody may be."""
        if self.state is State.OPEN:
            return max(0.0, self._retry_at - self._clock())
        # How long a probe takes nobody knows; whoever comes meanwhile should not come at once again.
        return 1.0 if self._probing else 0.0

    def enter(self) -> Entry:
        """Be let through, or ``Open`` is raised. Whoever is let through must ``leave``."""
        if self.state is not State.CLOSED:
            if (wait := self.wait) > 0:
                raise Open(wait)
            if self.state is State.OPEN:
                self._change(State.HALF_OPEN)
            self._probing = True
        return Entry(self._era)

    def leave(self, entry: Entry, *, held: bool | None) -> bool:
        """Tell how it went; None where that says nothing of the endpoint. True where the breaker opened or closed."""
        if entry != self._era:
            return False
        self._probing = False
        if held is None:
            return False
        if self.state is State.HALF_OPEN:
            return self._probed(held)
        self._outcomes.append(held)
        if not held and self._outcomes.count(False) >= self._most_failures:
            self.open_since = self._clock()
            self._open_for(self._policy.open_pause)
            return True
        return False

    def _probed(self, held: bool) -> bool:
        if not held:
            self._open_for(min(self._policy.longest_open_pause, self._pause * 2))
            return False
        self._held += 1
        if self._held < self._policy.probes:
            return False
        self._outcomes.clear()
        self.open_since = None
        self._change(State.CLOSED)
        return True

    def _open_for(self, pause: float) -> None:
        self._pause = pause
        self._retry_at = self._clock() + pause
        self._change(State.OPEN)

    def _change(self, state: State) -> None:
        self.state = state
        self._era += 1
        self._held = 0
        self._probing = False
