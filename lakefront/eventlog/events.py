"""What goes into the log and what comes out of it: events, verdicts, offsets.

They are structs outside the garbage collector's sight: there are many, and they refer to nothing that refers back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

Offsets = Mapping[int, int]
"""A position in a stream: shard -> the first offset that was not seen yet. A shard that is not named is at 0."""


def reaches(position: Offsets, other: Offsets) -> bool:
    """Whether a reader at ``position`` has seen all that one at ``other`` has."""
    return all(offset <= position.get(shard, 0) for shard, offset in other.items())


class NewEvent(msgspec.Struct, frozen=True, gc=False):
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


class Appended(msgspec.Struct, frozen=True, gc=False):
    """The log's verdict on one event: where it stands, or where the other with its id stands (``CONFLICT``).

    A ``REJECTED`` one stands nowhere: its offset is -1.
    """

    outcome: Outcome
    shard: int
    offset: int


@dataclass(frozen=True, slots=True)
class Page:
    """Events in the order of the merge, the position after the last of them, and about how many bytes of JSON.

    The bytes are counted for a read as a whole and shared out equally: over some pages the sum is right.
    """

    events: list[Event]
    position: dict[int, int]
    size: int = 0


class Part(NamedTuple):
    """Events of one shard in their order, and about how many bytes of JSON they took where they were read."""

    events: list[Event]
    size: int


def advance(position: dict[int, int], event: Event) -> None:
    """Move ``position`` past ``event``: what a reader does who keeps a cursor for each event of a page."""
    position[event.shard] = event.offset + 1
