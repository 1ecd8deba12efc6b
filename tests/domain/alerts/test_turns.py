"""When an alert turns: what is other than it says has to last."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lakefront.domain.alerts.turns import Steady, Turned, Waiting, turn

START = datetime(2026, 1, 1, tzinfo=UTC)

LOOKS = st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=60)


@given(looks=LOOKS, lasting=st.integers(0, 60))
def test_an_alert_turns_once_what_is_other_has_lasted(looks: list[tuple[bool, int]], lasting: int) -> None:
    """Looks at what is bad or well, so many seconds apart, against the plain definition."""
    now, fires, since = START, False, None
    other_since: datetime | None = None
    for bad, seconds in looks:
        now += timedelta(seconds=seconds)
        other_since = None if bad == fires else other_since or now
        due = other_since is not None and now - other_since >= timedelta(seconds=lasting)
        match turn(bad=bad, fires=fires, since=since, now=now, lasting=timedelta(seconds=lasting)):
            case Steady():
                assert other_since is None
                since = None
            case Waiting(began):
                assert began == other_since
                since = began
                assert not due
            case Turned():
                assert due
                fires, since, other_since = not fires, None, None


def test_a_clock_that_went_back_makes_nobody_wait_longer() -> None:
    told = turn(bad=True, fires=False, since=START + timedelta(hours=1), now=START, lasting=timedelta(seconds=5))
    assert told == Waiting(START)
