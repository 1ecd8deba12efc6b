"""How quick the outbox' worker is, in one place: settings, and what no operator needs to set."""

from dataclasses import dataclass
from typing import Self

from lakefront.settings import Settings


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds and numbers. ``look_up_after``: the pause before it is looked whether a try went through."""

    poll: float = 1.0
    """Between looks at PostgreSQL when no notice comes."""
    sweep: float = 10.0
    """Between rounds of the sweeper."""
    lease: float = 30.0
    """For which a job is a worker's; renewed three times in it."""
    look_up_after: float = 180.0
    longest: float = 120.0
    """That one try of a handler may take: what hangs longer is given up, in doubt."""
    grace: float = 5.0
    """That jobs under way have to come to their end when the server stops."""
    first_pause: float = 2.0
    """Before the second try of a job; doubled with each."""
    longest_pause: float = 60.0
    retry_for: float = 300.0
    """From the first failure on; then the job is dead (C3)."""
    wait_for: float = 86_400.0
    """That a job may wait for its turn (a quota, a breaker); then it is dead as well."""
    looking_for: float = 3600.0
    """That look-ups may fail; then a person has to look."""
    replay_after: float = 3600.0
    """After which a dead job is replayed by itself (C12)."""
    replays: int = 24
    """That happen by themselves; then a person has to."""
    jobs: int = 16
    """At once, in one process."""
    share: int = 8
    """Of these for one integration: what is slow must not keep all the others waiting."""
    keep_done: float = 7 * 86_400.0
    """For which jobs that are done are kept."""
    keep_decided: float = 90 * 86_400.0
    """For which dead letters are kept that somebody decided on, and jobs that are dead for good."""

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """What an operator set."""
        return cls(
            poll=settings.poll_interval,
            look_up_after=settings.outbox_look_up_after,
            retry_for=settings.outbox_retry_for,
            replay_after=settings.outbox_replay_after,
            jobs=settings.outbox_jobs,
            share=max(1, settings.outbox_jobs // 2),
        )
