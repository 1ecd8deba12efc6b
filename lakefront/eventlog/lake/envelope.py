"""An event as the lake keeps it: one line of NDJSON; and the files that hold the lines, packed (P4, X8).

PostgreSQL writes the lines while it reads the rows (``LAYOUTS``): the same rows always give the same bytes, numbers
keep every digit, and no event is a Python object on its way into the lake.
"""

import zlib
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple

import msgspec
import zstandard

from lakefront.eventlog.events import Event

Compression = Literal["gzip", "zstd"]

SUFFIXES: Final[dict[Compression, str]] = {"gzip": ".json.gz", "zstd": ".json.zst"}
"""What the keys of objects end in: engines tell the compression by it."""

GZIP_LEVEL: Final = 6
ZSTD_LEVEL: Final = 3
"""Fixed, as another level would give other bytes for the same events."""

LAYOUT: Final = 1
"""The layout of new batches."""

LAYOUTS: Final[dict[int, str]] = {
    1: """
event_id AS "eventId", event_type AS "eventType", partition_key AS "partitionKey", occurred_at AS "occurredAt",
ingested_at AS "ingestedAt", payload AS "eventData", trace_id AS "traceId", correlation_id AS "correlationId",
schema_version AS "schemaVersion", source, shard, "offset"
""",
}
"""The columns of ``events`` under their names and in their order in a line: ``row_to_json`` of them is the line.

Whoever changes the line adds a layout, and leaves the older ones as they are for as long as an intent may have them: a
batch that one release closed and another writes must get the same bytes.
"""


class _Line(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    event_id: str
    event_type: str
    partition_key: str
    occurred_at: datetime
    ingested_at: datetime
    event_data: Any
    trace_id: str
    correlation_id: str | None
    schema_version: str
    source: str
    shard: int
    offset: int

    def event(self) -> Event:
        return Event(
            self.shard,
            self.offset,
            self.event_id,
            self.event_type,
            self.partition_key,
            self.occurred_at,
            self.ingested_at,
            self.event_data,
            self.trace_id,
            self.correlation_id,
            self.schema_version,
            self.source,
        )


_lines = msgspec.json.Decoder(_Line)


def encode(event: Event) -> bytes:
    """The line of ``event``, without its newline: for whoever writes to the lake from elsewhere than PostgreSQL.

    Times as PostgreSQL writes them in UTC: ``2024-01-15T10:30:00.5+00:00``.
    """
    return msgspec.json.encode(
        {
            "eventId": event.event_id,
            "eventType": event.event_type,
            "partitionKey": event.partition_key,
            "occurredAt": _text(event.occurred_at),
            "ingestedAt": _text(event.ingested_at),
            "eventData": event.payload,
            "traceId": event.trace_id,
            "correlationId": event.correlation_id,
            "schemaVersion": event.schema_version,
            "source": event.source,
            "shard": event.shard,
            "offset": event.offset,
        }
    )


def decode(line: bytes) -> Event:
    """The event of a line; members that this version does not know are passed over.

    Raises ``msgspec.DecodeError`` on what is no such line.
    """
    return _lines.decode(line).event()


class Packed(NamedTuple):
    """An object's bytes as they are stored, and their SHA-256 in hex."""

    data: bytes
    sha256: str


def pack(lines: bytes | bytearray, compression: Compression) -> Packed:
    """``lines`` compressed: the same bytes for the same lines. 25 MB may take a second: call it in a thread."""
    if compression == "gzip":
        data = zlib.compress(lines, GZIP_LEVEL, wbits=31)  # a header without name, its time 0
    else:
        # One for each call: a compressor that threads share crashes the process.
        data = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compress(lines)
    return Packed(data, sha256(data).hexdigest())


class _Trace(msgspec.Struct, gc=False, rename="camel"):
    trace_id: str


_traces = msgspec.json.Decoder(_Trace)


def traces(lines: bytes | bytearray, *, most: int = 1000) -> list[str]:
    """The trace ids of the first ``most`` of ``lines``, each once, in their order."""
    found: dict[str, None] = {}
    start = 0
    for _ in range(most):
        end = lines.find(b"\n", start)
        if end < 0:
            break
        found[_traces.decode(memoryview(lines)[start:end]).trace_id] = None
        start = end + 1
    return list(found)


def _text(moment: datetime) -> str:
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "+00:00"
