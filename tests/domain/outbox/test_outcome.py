"""What is decided for every error there is, at random moments: nothing that may have gone through is tried blindly."""

from hypothesis import given
from hypothesis import strategies as st

from lakefront.domain.outbox import Pace
from lakefront.domain.outbox.handlers import NothingSent
from lakefront.domain.outbox.outcome import Again, Dead, Trying, Uncertain, decide, shown
from lakefront.errors import CursorExpired, Lagged, LakefrontError, RateLimited, Unavailable, UpstreamError, catalogue

PACE = Pace()

_BY_CALLS = [{"provider": "nyc_311"}]
_errors = st.sampled_from(
    [
        *(kind() for kind in catalogue() if not issubclass(kind, Unavailable | Lagged | CursorExpired)),
        Lagged("a place"),
        Unavailable(),
        Unavailable(details=_BY_CALLS, retry_after=30),
        RateLimited(retry_after=7200),
        UpstreamError(retry_after=10),
        KeyError("x"),
        TimeoutError(),
        ZeroDivisionError(),
    ]
)
_seconds = st.floats(0, 200_000)
_trying = st.builds(Trying, st.booleans(), st.integers(1, 2000), _seconds, _seconds, st.integers(0, 50))


@given(error=_errors, trying=_trying, unsent=st.booleans())
def test_only_what_did_nothing_is_tried_again(error: Exception, trying: Trying, unsent: bool) -> None:
    unsent = unsent and isinstance(error, LakefrontError)
    outcome = decide(NothingSent(error) if unsent and isinstance(error, LakefrontError) else error, trying, PACE)
    did_nothing = (
        unsent or type(error) in (UpstreamError, RateLimited) or "provider" in str(getattr(error, "details", ""))
    )
    if isinstance(outcome, Again):
        assert outcome.wait > 0
        assert not outcome.in_doubt or outcome.wait >= PACE.look_up_after
        if not outcome.in_doubt:
            assert did_nothing
            assert not trying.looking_up
    if trying.looking_up:
        assert isinstance(outcome, Uncertain) or (isinstance(outcome, Again) and outcome.in_doubt)
    else:
        assert not isinstance(outcome, Uncertain)
    if isinstance(outcome, Dead) and outcome.replay is not None:
        assert trying.replays < PACE.replays
    assert "x" not in shown(error).message or isinstance(error, LakefrontError)


@given(attempt=st.integers(1, 10_000), asked=st.floats(0, 100_000))
def test_it_waits_at_least_as_long_as_was_asked_for(attempt: int, asked: float) -> None:
    trying = Trying(looking_up=False, attempt=attempt, failing=0, waiting=0, replays=0)
    outcome = decide(UpstreamError(retry_after=asked), trying, PACE)
    assert isinstance(outcome, Again)
    assert outcome.failed
    assert min(asked, 86_400) <= outcome.wait <= max(60, 86_400 * 1.1)


def test_five_minutes_of_failures_are_enough() -> None:
    early = Trying(looking_up=False, attempt=9, failing=299, waiting=299, replays=0)
    late = Trying(looking_up=False, attempt=9, failing=301, waiting=301, replays=0)
    assert isinstance(decide(UpstreamError(), early, PACE), Again)
    assert decide(UpstreamError(), late, PACE) == Dead(3600.0)
    assert isinstance(decide(Unavailable(details=_BY_CALLS), late, PACE), Again)
    worn = Trying(looking_up=False, attempt=9, failing=301, waiting=301, replays=24)
    assert decide(UpstreamError(), worn, PACE) == Dead(None)
