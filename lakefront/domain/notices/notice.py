"""What became of a notice."""

from enum import StrEnum


class NoticeState(StrEnum):
    """Where a message stands."""

    QUEUED = "QUEUED"
    """It waits to be sent, or is being sent."""
    SENT = "SENT"
    UNCERTAIN = "UNCERTAIN"
    """It may have been sent, nobody can tell: a person has to look."""
    FAILED = "FAILED"
    """It was surely not sent; a dead letter waits."""
    SKIPPED = "SKIPPED"
    """There was nobody to tell, or nothing to tell of any more."""
