"""What a job of the outbox is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    UNCERTAIN = "UNCERTAIN"
    """It may have been carried out, nobody can tell: a person has to look."""
    DEAD = "DEAD"


class LetterState(StrEnum):
    """Where a dead letter stands."""

    WAITING = "WAITING"
    REPLAYED = "REPLAYED"
    DISCARDED = "DISCARDED"


class LeaseLost(Exception):
    """Another worker has the job by now: what this one was about to write must not stay."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be. ``kind`` names its handler; jobs of one ``key`` are done one after the other, in their order.

    ``payload`` is JSON, refers to rows, and holds nothing personal and no secret. ``city`` is ``""`` where the provider
    is of none; with ``provider`` it says whose share of a worker's places the job takes. ``due_at``: not before (None:
    at once). With a ``job_id`` of one's own, made from what the job is about (``uuid5``), the same job is there once,
    however often it is enqueued.
    """

    kind: str
    key: str
    provider: str
    city: str
    payload: Mapping[str, Any]
    trace_id: str
    due_at: datetime | None = None
    job_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job that a worker has. ``attempt`` counts the claims, and is what its lease is known by.

    ``first_tried_at``: when the first try began of those that may have gone through; in ``run`` that is this one.
    """

    tenant: str
    job_id: UUID
    kind: str
    key: str
    provider: str
    city: str
    payload: Mapping[str, Any]
    attempt: int
    trace_id: str
    first_tried_at: datetime | None
