"""What becomes of a job whose handler failed: decided by the error alone, and by how long it has been tried."""

import random
from dataclasses import dataclass
from typing import Final

from lakefront.domain.outbox.handlers import NothingSent
from lakefront.domain.outbox.pace import Pace
from lakefront.errors import (
    Conflict,
    InternalError,
    LakefrontError,
    NotConfigured,
    NotFound,
    RateLimited,
    Unavailable,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUncertain,
    ValidationError,
)

_REFUSED: Final = (UpstreamRejected, ValidationError, NotFound, Conflict)
"""The same job would be refused again."""

_OPERATORS: Final = (UpstreamDenied, NotConfigured)
"""Somebody has to set something, and may have within the hour."""

_COULD_NOT_LOOK: Final = (UpstreamError, NotConfigured, RateLimited, Unavailable, TimeoutError)
"""Nothing came of a look-up, and another one may tell more."""

_LONGEST_WAIT: Final = 86_400.0
"""Seconds that a provider may ask for."""


@dataclass(frozen=True, slots=True)
class Trying:
    """How it stands with a job that failed: seconds since its round's first failure (or 0), and since that began."""

    looking_up: bool
    attempt: int
    failing: float
    waiting: float
    replays: int


@dataclass(frozen=True, slots=True)
class Again:
    """After ``wait`` seconds. ``in_doubt``: to be looked up then. ``failed``: it counts as a failure (C3)."""

    wait: float
    in_doubt: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Dead:
    """``replay``: seconds after which it is tried anew by itself; None: a person has to."""

    replay: float | None


@dataclass(frozen=True, slots=True)
class Uncertain:
    """It may have been carried out, and nobody can tell: a person has to look."""


Outcome = Again | Dead | Uncertain


def decide(error: Exception, trying: Trying, pace: Pace) -> Outcome:
    """What is next. Only what surely did nothing is tried again; whatever is not known here is in doubt."""
    if trying.looking_up:
        return _of_look_up(error, trying, pace)
    sent = not isinstance(error, NothingSent)
    cause = error.cause if isinstance(error, NothingSent) else error
    replay = pace.replay_after if trying.replays < pace.replays else None
    if isinstance(cause, _REFUSED):
        return Dead(None)
    if isinstance(cause, _OPERATORS):
        return Dead(replay)
    if isinstance(cause, UpstreamError):
        return Dead(replay) if trying.failing >= pace.retry_for else Again(_pause(cause, trying, pace), failed=True)
    if isinstance(cause, RateLimited | Unavailable) and not (sent and _ours(cause)):
        return Dead(replay) if trying.waiting >= pace.wait_for else Again(_pause(cause, trying, pace))
    return Again(pace.look_up_after, in_doubt=True)


def shown(error: Exception) -> LakefrontError:
    """The error as it may be told: its message holds neither secrets nor personal data."""
    if isinstance(error, NothingSent):
        return error.cause
    if isinstance(error, LakefrontError):
        return error
    if isinstance(error, TimeoutError):
        return UpstreamUncertain("This took too long and was given up. Look there before you send it again.")
    return InternalError()


def _of_look_up(error: Exception, trying: Trying, pace: Pace) -> Outcome:
    cause = error.cause if isinstance(error, NothingSent) else error
    if isinstance(cause, _COULD_NOT_LOOK) and trying.failing < pace.looking_for:
        # It may have been carried out once more, just now: what is on its way still cannot be seen there yet.
        return Again(max(_pause(cause, trying, pace), pace.look_up_after), in_doubt=True, failed=True)
    return Uncertain()


def _ours(error: LakefrontError) -> bool:
    """Whether it is PostgreSQL that is away, and no adapter's word: then a call may have been made before."""
    return isinstance(error, Unavailable) and not any("provider" in each for each in error.details)


def _pause(error: Exception, trying: Trying, pace: Pace) -> float:
    """Seconds: twice as many with each try, at least what was asked for, and never the same for all jobs."""
    doubled = pace.first_pause * 2.0 ** min(trying.attempt - 1, 16)
    asked = (error.retry_after or 0.0) if isinstance(error, LakefrontError) else 0.0
    longest = max(min(doubled, pace.longest_pause), min(asked, _LONGEST_WAIT) * 1.1)
    return random.uniform(max(longest / 2, min(asked, _LONGEST_WAIT)), longest)  # noqa: S311 - no secret
