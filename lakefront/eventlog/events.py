"""What goes into the log and what comes out of it: events, verdicts, offsets."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

Offsets = Mapping[int, int]
"""A position in a stream: shard -> the first offset that was not seen yet. A shard that is not named is at 0."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NewEvent:
    r"""An event to append. ``payload`` is canonical JSON text (sorted keys, no ``\u0000``, finite numbers)."""

    event_id: str
    event_type: str
    partition_key: str
    occurred_at: datetime
    payload: bytes
    trace_id: str
    correlation_id: str | None = None
    schema_version: str = "1.0"
    source: str = "lakefront"

    def dedupe(self, tenant: str, stream: str) -> bytes:
        """The identity by which a retry is found: blake2b-128 of tenant, stream, event_id, each with its length."""
        return _digest(tenant.encode(), stream.encode(), self.event_id.encode())

    def body(self) -> bytes:
        """The content's blake2b-128: the same id with another one is a conflict. Its zone does not count."""
        since = self.occurred_at - _EPOCH
        moment = b"%d %d %d" % (since.days, since.seconds, since.microseconds)
        return _digest(self.event_type.encode(), self.partition_key.encode(), moment, self.payload)


def _digest(*parts: bytes) -> bytes:
    lengths = b"%d," * len(parts) % tuple(map(len, parts))
    return blake2b(lengths + b"".join(parts), digest_size=16).digest()


class Event(msgspec.Struct, frozen=True, gc=False):
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


class Appended(NamedTuple):
    """The log's verdict on one event: where it stands, or where the other with its id stands (``CONFLICT``).

    A ``REJECTED`` one stands nowhere: its offset is -1.
    """

    outcome: Outcome
    shard: int
    offset: int


@dataclass(frozen=True, slots=True)
class Page:
    """Events in the order of the merge, and the position after the last of them."""

    events: list[Event]
    position: dict[int, int]


def advance(position: dict[int, int], event: Event) -> None:
    """Move ``position`` past ``event``: what a reader does who keeps a cursor for each event of a page."""
    position[event.shard] = event.offset + 1
