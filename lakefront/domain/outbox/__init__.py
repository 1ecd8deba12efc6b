"""What must reach the outside (C2): written with the row that wants it, carried out by a worker, never twice blindly.

A use-case ``enqueue``s a job in the transaction that writes its row: both are there or neither. A worker gives it to
the ``Handler`` of its kind, which makes the call and writes what came of it with ``finish`` in one transaction. What
the handler raises decides what is next (``outcome.py``, ADR 34); what cannot be done becomes a dead letter.
"""

from lakefront.domain.outbox.abandon import abandon
from lakefront.domain.outbox.enqueue import CHANNEL, enqueue, enqueue_all, finish
from lakefront.domain.outbox.export import Exported, export
from lakefront.domain.outbox.handlers import Handler, nothing_sent, record
from lakefront.domain.outbox.jobs import Job, JobState, LeaseLost, LetterState, NewJob
from lakefront.domain.outbox.letters import DeadLetter, discard, replay, waiting
from lakefront.domain.outbox.numbers import Numbers, measure
from lakefront.domain.outbox.pace import Pace
from lakefront.domain.outbox.worker import OutboxWorker

__all__ = [
    "CHANNEL",
    "DeadLetter",
    "Exported",
    "Handler",
    "Job",
    "JobState",
    "LeaseLost",
    "LetterState",
    "NewJob",
    "Numbers",
    "OutboxWorker",
    "Pace",
    "abandon",
    "discard",
    "enqueue",
    "enqueue_all",
    "export",
    "finish",
    "measure",
    "nothing_sent",
    "record",
    "replay",
    "waiting",
]
