"""What goes into the log and what comes out of it: events, verdicts, offsets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any
from uuid import UUID

Offsets = Mapping[int, int]
"""A position in a stream: shard -> the first offset that was not seen yet."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append. ``payload`` is canonical JSON text (sorted keys, no ``\\u0000``, finite numbers)."""

    event_id: str
    event_type: str
    partition_key: str
    occurred_at: datetime
    payload: bytes
    trace_id: str
    correlation_id: str | None = None
    schema_version: str = "1.0"
    source: str = "lakefront"

    def dedupe(self, tenant: str, stream: str) -> UUID:
        """The identity by which a retry is found: blake2b-128 of tenant, stream, event_id, each with its length."""
        return _digest(tenant, stream, self.event_id)

    def body(self) -> UUID:
        """The content's hash: the same id with another one is a conflict."""
        return _digest(self.event_type, self.partition_key, self.occurred_at.isoformat(), self.payload)


def _digest(*parts: str | bytes) -> UUID:
    hashed = blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return UUID(bytes=hashed.digest())


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the log. ``payload`` is parsed JSON; timestamps are aware and in UTC."""

    shard: int
    offset: int
    event_id: str
    event_type: str
    partition_key: str
    occurred_at: datetime
    ingested_at: datetime
    payload: Any
    trace_id: str
    correlation_id: str | None
    schema_version: str
    source: str


class Outcome(StrEnum):
    """What became of an event (X6)."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Appended:
    """The log's verdict on one event: where it stands, or (``CONFLICT``) where the other with its id stands."""

    outcome: Outcome
    shard: int
    offset: int


@dataclass(frozen=True, slots=True)
class Page:
    """Events in the order of the merge, and the position after the last of them."""

    events: list[Event]
    position: dict[int, int] = field(default_factory=dict)
