"""An event's two rows in the binary form of COPY: one for ``events``, one for ``event_keys``.

The driver's codecs take several times as long for them, and all of it before PostgreSQL sees the first row. These are
encoded and hashed in parts, while PostgreSQL is at the part before.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from struct import Struct, pack
from zlib import crc32

import msgspec

from lakefront.errors import ValidationError
from lakefront.eventlog.events import NewEvent

EVENT_COLUMNS = (
    *("tenant_id", "stream", "ingested_at", "shard", "offset"),
    *("event_id", "event_type", "partition_key", "occurred_at", "payload"),
    *("trace_id", "correlation_id", "schema_version", "source"),
)
KEY_COLUMNS = ("generation", "tenant_id", "dedupe", "body", "shard", "offset")

_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_PART = 100
"""Rows that are handed to the driver at a time, some 60 kB."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_YEAR_ONE = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND

_length = Struct(">i").pack
_null = _length(-1)
_when_and_size = Struct(">iqi").pack
_place = Struct(">ihiq").pack
_hashes = Struct(">i16si16s").pack


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """An event ready to be appended.

    ``dedupe`` is the identity by which a retry is found: blake2b-128 of tenant, stream (each with its length) and event
    id. ``hashed_key`` tells its shard.
    """

    event: NewEvent
    dedupe: bytes
    hashed_key: int

    def body(self) -> bytes:
        """The blake2b-128 of type, partition key, time and payload: the same id with another one is a conflict."""
        return _hash(_content(self.event))


def prepare(tenant: str, stream: str, events: Sequence[NewEvent]) -> list[Prepared]:
    """``events``, ready for the stream; raises ``ValidationError`` on text that is not Unicode."""
    namespace = b"".join(len(name).to_bytes(8) + name for name in (tenant.encode(), stream.encode()))
    try:
        return [
            Prepared(event, _hash(namespace + event.event_id.encode()), crc32(event.partition_key.encode()))
            for event in events
        ]
    except UnicodeEncodeError as bad:
        raise not_storable() from bad


def not_storable() -> ValidationError:
    """The error for an event that PostgreSQL cannot hold."""
    return ValidationError("An event holds a value that cannot be stored. Check its texts and numbers.")


class Rows:
    """The rows of a transaction, in the order of their places.

    ``heads`` are the shards' next offsets. First ``for_events`` is read to its end, which hashes the bodies, then
    ``for_keys``; both raise ``ValueError`` or ``TypeError`` on what has no binary form.
    """

    def __init__(self, heads: Mapping[int, int]) -> None:
        self.heads = dict(heads)
        self._first = heads
        self._items: dict[int, list[Prepared]] = {shard: [] for shard in heads}
        self._keys: list[bytes] = []

    def add(self, shard: int, item: Prepared) -> int:
        """Give ``item`` the next offset of ``shard``, and return it."""
        offset = self.heads[shard]
        self.heads[shard] = offset + 1
        self._items[shard].append(item)
        return offset

    async def for_events(self, tenant: str, stream: str, ingested_at: datetime) -> AsyncIterator[bytes]:
        """What COPY reads into EVENT_COLUMNS of ``events``."""
        when = pack(">iq", 8, (ingested_at - _EPOCH) // _MICROSECOND)
        head = pack(">h", len(EVENT_COLUMNS)) + _field(tenant) + _field(stream) + when
        yield _BEGIN
        for shard, items in self._items.items():
            for start in range(0, len(items), _PART):
                yield self._part(head, shard, self._first[shard] + start, items[start : start + _PART])
        yield _END

    def _part(self, head: bytes, shard: int, first: int, items: Sequence[Prepared]) -> bytes:
        parts: list[bytes] = []
        for offset, item in enumerate(items, first):
            event = item.event
            name, content, place = event.event_id.encode(), _content(event), _place(2, shard, 8, offset)
            last = _last_fields(event.trace_id, event.correlation_id, event.schema_version, event.source)
            self._keys.append(_hashes(16, item.dedupe, 16, _hash(content)) + place)
            parts += (head, place, _length(len(name)), name, content, last)
        return b"".join(parts)

    async def for_keys(self, generation: date, tenant: str) -> AsyncIterator[bytes]:
        """What COPY reads into KEY_COLUMNS; sorted, so that transactions that race never deadlock."""
        head = pack(">hii", len(KEY_COLUMNS), 4, (generation - _EPOCH.date()).days) + _field(tenant)
        yield _BEGIN + head.join((b"", *sorted(self._keys))) + _END


def _content(event: NewEvent) -> bytes:
    """The columns of which a retry has the same: ``event_type`` to ``payload``."""
    key, payload = event.partition_key.encode(), event.payload
    when = (event.occurred_at - _EPOCH) // _MICROSECOND
    if when < _YEAR_ONE:
        raise ValueError("the time lies before the year 1 in UTC, which no reader could name")
    when_and_size = _when_and_size(8, when, len(payload) + 1)
    return b"".join((_field(event.event_type), _length(len(key)), key, when_and_size, b"\1", payload))


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


@lru_cache(1024)
def _field(text: str | None) -> bytes:
    if text is None:
        return _null
    encoded = text.encode()
    return _length(len(encoded)) + encoded


@lru_cache(1024)
def _last_fields(*texts: str | None) -> bytes:
    return b"".join(map(_field, texts))
