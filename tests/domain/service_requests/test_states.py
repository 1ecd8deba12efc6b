"""Where requests can go: whatever is said, by whomever, in whatever order, nothing late moves one back."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lakefront.domain.service_requests.request import State
from lakefront.domain.service_requests.states import (
    AT_THE_CITY,
    ENDED,
    SKEW,
    TRANSITIONS,
    Cause,
    Standing,
    Word,
    after,
    allowed,
    late,
)

START = datetime(2026, 5, 28, tzinfo=UTC)
ORDER = (State.PENDING_EXTERNAL, State.UNCERTAIN, State.OPEN, State.IN_PROGRESS, State.CLOSED, State.REJECTED)

moments = st.integers(0, 20).map(lambda hours: START + timedelta(hours=hours))
states = st.sampled_from(State)
city_states = st.sampled_from([State.OPEN, State.IN_PROGRESS, State.CLOSED, State.REJECTED])


class Life(RuleBasedStateMachine):
    """A request of ours, and everybody who may say something of it."""

    def __init__(self) -> None:
        super().__init__()
        self.standing = Standing(State.PENDING_EXTERNAL, None, filed=False)
        self.was = [self.standing]

    def hear(self, word: Word) -> None:
        before = self.standing
        self.standing = after(before, word)
        self.was.append(self.standing)
        moved = self.standing.state is not before.state
        assert not moved or word.state in TRANSITIONS[word.cause][before.state]
        assert not moved or self.standing.state is word.state
        if moved and before.filed and ORDER.index(word.state) < ORDER.index(before.state):
            # Back only at the word of staff, or at one that is truly newer.
            assert word.cause is Cause.STAFF or before.told_at is None or (word.at and word.at > before.told_at)
        assert after(self.standing, word) == self.standing or word.cause is Cause.STAFF

    @rule(state=city_states, at=st.none() | moments)
    def city(self, state: State, at: datetime | None) -> None:
        """The city took it, or is asked where it stands."""
        self.hear(Word(state, Cause.CITY, at))
        assert self.standing.filed

    @rule(state=st.sampled_from([State.UNCERTAIN, State.REJECTED]))
    def gave_up(self, state: State) -> None:
        """The outbox could not file it."""
        before = self.standing
        self.hear(Word(state, Cause.LAKEFRONT))
        assert not before.filed or self.standing == before

    @rule(state=states, at=moments)
    def staff(self, state: State, at: datetime) -> None:
        """Somebody decides."""
        self.hear(Word(state, Cause.STAFF, at))

    @rule(state=states)
    def owner(self, state: State) -> None:
        """Whoever reported it moves nothing."""
        before = self.standing
        self.hear(Word(state, Cause.OWNER))
        assert self.standing.state is before.state

    @invariant()
    def only_what_the_city_has_stands_at_the_city(self) -> None:
        assert self.standing.filed or self.standing.state not in AT_THE_CITY

    @invariant()
    def what_the_city_has_is_not_filed_again(self) -> None:
        assert not (self.standing.filed and self.standing.state in {State.PENDING_EXTERNAL, State.UNCERTAIN})

    @invariant()
    def the_city_never_forgets(self) -> None:
        for before, now in pairwise(self.was):
            assert now.filed >= before.filed
            assert before.told_at is None or (now.told_at is not None and now.told_at >= before.told_at)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=50, stateful_step_count=20)


@given(words=st.lists(st.tuples(city_states, moments), min_size=1), data=st.data())
def test_of_what_is_published_the_newest_stands_whatever_the_order(
    words: list[tuple[State, datetime]], data: st.DataObject
) -> None:
    newest = max(words, key=lambda word: (word[1], ORDER.index(word[0])))
    first, *others = data.draw(st.permutations(words))
    standing = Standing(first[0], first[1], filed=True)
    for state, at in others:
        standing = after(standing, Word(state, Cause.PUBLISHER, at))
    assert (standing.state, standing.told_at) == newest


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("cause", Cause)
def test_everybody_knows_where_to_go_and_nobody_goes_where_it_stands(cause: Cause, state: State) -> None:
    assert state not in TRANSITIONS[cause].get(state, frozenset())


def test_what_has_ended_can_still_be_told_anew() -> None:
    for state in ENDED:
        assert TRANSITIONS[Cause.CITY][state]


def test_a_clock_that_is_wrong_keeps_nothing_open() -> None:
    skewed = Standing(State.IN_PROGRESS, START + timedelta(minutes=10), filed=True)
    assert after(skewed, Word(State.CLOSED, Cause.CITY, START)).state is State.CLOSED
    assert late(skewed, Word(State.OPEN, Cause.CITY, START))
    assert late(skewed, Word(State.CLOSED, Cause.CITY, START - SKEW))
    assert late(skewed, Word(State.CLOSED, Cause.PUBLISHER, START))


def test_staff_files_again_only_what_the_city_does_not_have() -> None:
    refused = Standing(State.REJECTED, None, filed=False)
    assert allowed(refused, Word(State.PENDING_EXTERNAL, Cause.STAFF))
    assert not allowed(refused, Word(State.OPEN, Cause.STAFF))
    declined = Standing(State.REJECTED, None, filed=True)
    assert not allowed(declined, Word(State.PENDING_EXTERNAL, Cause.STAFF))
    assert allowed(declined, Word(State.OPEN, Cause.STAFF))
