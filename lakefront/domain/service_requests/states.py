"""Where a request can go from where it stands, and at whose word: the one place that says so.

Outside words that come late do not count: those that are older than the newest one that counted, and those without a
time that would take the request back. So, whatever the order in which a publisher's words come in, the newest one
stands at the end, and nothing is moved back by what was said before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from lakefront.domain.service_requests.request import State

PENDING, UNCERTAIN, OPEN, IN_PROGRESS, CLOSED, REJECTED = State


class Cause(StrEnum):
    """Whose word it is."""

    OWNER = "owner"
    """Whoever submitted the request."""
    STAFF = "staff"
    CITY = "city"
    """The city's 311 system, as we asked it."""
    PUBLISHER = "publisher"
    """The city, as it publishes its requests for everybody."""
    LAKEFRONT = "lakefront"
    """We ourselves: the outbox, when it could not file the request."""


ENDED: Final = frozenset({CLOSED, REJECTED})
"""Nobody needs to ask any more."""

AT_THE_CITY: Final = frozenset({OPEN, IN_PROGRESS, CLOSED})
"""Only what the city has stands so."""

TRANSITIONS: Final[Mapping[Cause, Mapping[State, frozenset[State]]]] = MappingProxyType(
    {
        Cause.OWNER: {},
        Cause.LAKEFRONT: {
            PENDING: frozenset({UNCERTAIN, REJECTED}),
            # A dead letter that was tried again.
            UNCERTAIN: frozenset({REJECTED}),
            REJECTED: frozenset({UNCERTAIN}),
        },
        Cause.CITY: {
            PENDING: frozenset({OPEN, IN_PROGRESS, CLOSED, REJECTED}),
            UNCERTAIN: frozenset({OPEN, IN_PROGRESS, CLOSED, REJECTED}),
            OPEN: frozenset({IN_PROGRESS, CLOSED, REJECTED}),
            IN_PROGRESS: frozenset({OPEN, CLOSED, REJECTED}),
            CLOSED: frozenset({OPEN, IN_PROGRESS, REJECTED}),
            REJECTED: frozenset({OPEN, IN_PROGRESS, CLOSED}),
        },
        Cause.PUBLISHER: {
            OPEN: frozenset({IN_PROGRESS, CLOSED, REJECTED}),
            IN_PROGRESS: frozenset({OPEN, CLOSED, REJECTED}),
            CLOSED: frozenset({OPEN, IN_PROGRESS, REJECTED}),
            REJECTED: frozenset({OPEN, IN_PROGRESS, CLOSED}),
        },
        Cause.STAFF: {
            # Withdrawn: what waits to be filed is not filed any more.
            PENDING: frozenset({REJECTED}),
            # Somebody looked at the city: it is there, it is not there and to be filed again, or not at all.
            UNCERTAIN: frozenset({OPEN, PENDING, REJECTED}),
            OPEN: frozenset({IN_PROGRESS, CLOSED, REJECTED}),
            IN_PROGRESS: frozenset({OPEN, CLOSED, REJECTED}),
            CLOSED: frozenset({OPEN, IN_PROGRESS}),
            # The city did not take it; corrected, it may.
            REJECTED: frozenset({PENDING, OPEN}),
        },
    }
)
"""Whose word moves a request from where to where. What is not here does not happen."""

_RANK: Final[Mapping[State, int]] = {PENDING: 0, UNCERTAIN: 1, OPEN: 2, IN_PROGRESS: 3, CLOSED: 4, REJECTED: 5}


SKEW: Final = timedelta(hours=1)
"""By how much clocks are wrong. A city that is asked says what it thinks now: a word that does not take a request back
counts also where it seems to be a little older than what was heard before."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a request stands: ``told_at`` is the time of the newest word that counted, None where none had one.

    ``filed``: the city has it.
    """

    state: State
    told_at: datetime | None
    filed: bool


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says of where a request stands; ``at``: since when, None where that was not said."""

    state: State
    cause: Cause
    at: datetime | None = None


def allowed(standing: Standing, word: Word) -> bool:
    """Whether the request can go there at that word at all, whenever it was said."""
    if word.state not in TRANSITIONS[word.cause].get(standing.state, frozenset()):
        return False
    match word.cause:
        case Cause.STAFF:
            return standing.filed if word.state in AT_THE_CITY else word.state is not PENDING or not standing.filed
        case Cause.LAKEFRONT:
            return not standing.filed
        case _:
            return True


def late(standing: Standing, word: Word) -> bool:
    """Whether ``word`` comes from outside, and is older than what counted, or timeless and would take it back.

    Nothing is late that tells of a request which the city did not have until then.
    """
    if word.cause not in {Cause.CITY, Cause.PUBLISHER} or not standing.filed:
        return False
    back = _RANK[word.state] < _RANK[standing.state]
    if word.at is None or word.at == standing.told_at:
        return back
    if standing.told_at is None:
        return False
    return word.at < standing.told_at - (SKEW if word.cause is Cause.CITY and not back else timedelta(0))


def after(standing: Standing, word: Word) -> Standing:
    """Where the request stands once ``word`` was heard; as before, where it may not go there, or it is late."""
    if late(standing, word) or (word.state is not standing.state and not allowed(standing, word)):
        return standing
    told_at = max(filter(None, (standing.told_at, word.at)), default=None)
    return Standing(word.state, told_at, standing.filed or word.cause in {Cause.CITY, Cause.PUBLISHER})
