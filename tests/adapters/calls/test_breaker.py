"""The breaker as a state machine: whatever happens in whatever order, it is as its words say."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from lakefront.adapters.calls.breaker import Breaker, Entry, Open, State
from lakefront.adapters.calls.policy import Policy

POLICY = Policy(window=20, failing=0.5, open_pause=5.0, longest_open_pause=40.0, probes=3)


class BreakerMachine(RuleBasedStateMachine):
    """Calls enter and leave in any order, time goes on; beside the breaker stands its plain description."""

    entries: Bundle[tuple[Entry, int]] = Bundle("entries")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.breaker = Breaker(POLICY, clock=lambda: self.now)
        self.state = State.CLOSED
        self.outcomes: list[bool] = []
        self.era = 0
        self.pause = 0.0
        self.retry_at = 0.0
        self.open_since: float | None = None
        self.probing = False
        self.held = 0

    @rule(target=entries)
    def enter(self) -> tuple[Entry, int]:
        if self.state is State.OPEN and self.now >= self.retry_at:
            self._change(State.HALF_OPEN)
            expected = True
        else:
            expected = self.state is State.CLOSED or (self.state is State.HALF_OPEN and not self.probing)
        if not expected:
            with pytest.raises(Open) as refused:
                self.breaker.enter()
            assert refused.value.wait > 0
            return Entry(-1), -1
        self.probing = self.state is State.HALF_OPEN
        return self.breaker.enter(), self.era

    @rule(entry=consumes(entries), held=st.sampled_from([True, False, False, None]))
    def leave(self, entry: tuple[Entry, int], held: bool | None) -> None:
        token, era = entry
        before = self.state
        if era == self.era:
            self.probing = False
            if held is not None:
                self._told(held)
        changed = self.breaker.leave(token, held=held)
        assert changed == ((before is State.CLOSED) != (self.state is State.CLOSED))

    @rule(count=st.integers(1, 12), held=st.booleans())
    def many(self, count: int, held: bool) -> None:
        """Calls one after the other, as most are."""
        for _ in range(count):
            self.leave(self.enter(), held)

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.9, 5.0, 10.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.state is State.OPEN)
    @rule()
    def wait_until_it_may_be_asked(self) -> None:
        self.now = max(self.now, self.retry_at)
        assert self.breaker.wait == 0

    @invariant()
    def is_as_described(self) -> None:
        assert self.breaker.state is self.state
        assert self.breaker.open_seconds == (0 if self.open_since is None else self.now - self.open_since)
        if self.state is State.OPEN:
            assert self.breaker.wait == max(0.0, self.retry_at - self.now)
        if self.state is State.CLOSED:
            assert self.breaker.wait == 0
            assert self.outcomes[-20:].count(False) < 10

    def _told(self, held: bool) -> None:
        if self.state is State.CLOSED:
            self.outcomes.append(held)
            if not held and self.outcomes[-20:].count(False) >= 10:
                self.open_since = self.now
                self._open(5.0)
        elif not held:
            self._open(min(40.0, self.pause * 2))
        else:
            self.held += 1
            if self.held == 3:
                self.outcomes, self.open_since = [], None
                self._change(State.CLOSED)

    def _open(self, pause: float) -> None:
        self.pause, self.retry_at = pause, self.now + pause
        self._change(State.OPEN)

    def _change(self, state: State) -> None:
        self.state, self.probing, self.held = state, False, 0
        self.era += 1


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)


def test_it_opens_at_half_of_the_last_twenty() -> None:
    breaker = Breaker(POLICY)
    for turn in range(19):
        assert not breaker.leave(breaker.enter(), held=turn % 2 == 0)
    assert breaker.state is State.CLOSED
    assert breaker.leave(breaker.enter(), held=False)
    assert breaker.wait > 0


def test_what_says_nothing_of_it_does_not_count() -> None:
    breaker = Breaker(POLICY)
    for _ in range(100):
        breaker.leave(breaker.enter(), held=None)
    assert breaker.state is State.CLOSED
