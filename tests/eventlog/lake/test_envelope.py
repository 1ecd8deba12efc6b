"""Lines: nothing is lost on the way into the lake and back; packing gives the same bytes each time."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lakefront.eventlog.events import Event
from lakefront.eventlog.lake import envelope
from lakefront.eventlog.lake.envelope import Compression, decode, encode, pack

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
moments = st.datetimes(timezones=st.just(UTC))
events = st.builds(
    Event,
    shard=st.integers(0, 63),
    offset=st.integers(0, 2**63 - 1),
    event_id=texts,
    event_type=texts,
    partition_key=texts,
    occurred_at=moments,
    ingested_at=moments,
    payload=values,
    trace_id=texts,
    correlation_id=st.none() | texts,
    schema_version=texts,
    source=texts,
)


@given(events)
def test_a_line_is_the_event(event: Event) -> None:
    line = encode(event)
    assert b"\n" not in line
    assert decode(line) == event
    assert decode(line + b"\n") == event


def test_members_stand_in_a_fixed_order() -> None:
    event = Event(1, 7, "e1", "permit_filed", "p1", MOMENT, MOMENT, {"a": "\u2028é"}, "t", None, "1.0", "lakefront")
    assert encode(event).decode() == (
        '{"eventId":"e1","eventType":"permit_filed","partitionKey":"p1","occurredAt":"2024-01-15T10:30:00.5+00:00",'
        '"ingestedAt":"2024-01-15T10:30:00.5+00:00","eventData":{"a":"\u2028é"},"traceId":"t","correlationId":null,'
        '"schemaVersion":"1.0","source":"lakefront","shard":1,"offset":7}'
    )


MOMENT = datetime(2024, 1, 15, 10, 30, 0, 500_000, tzinfo=UTC)


def test_members_of_later_versions_are_passed_over() -> None:
    event = Event(1, 7, "e1", "permit_filed", "p1", MOMENT, MOMENT, {}, "t", "c", "1.0", "lakefront")
    later = encode(event)[:-1] + b',"region":{"id":[1]}}'
    assert decode(later) == event


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b'{"eventId":', b"\xff"])
def test_what_is_no_line(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(line)


@pytest.mark.parametrize("compression", get_args(Compression))
def test_packing_gives_the_same_bytes_in_any_thread(compression: Compression) -> None:
    lines = b"".join(b'{"offset":%d}\n' % number for number in range(50_000))
    with ThreadPoolExecutor(4) as threads:
        packed = set(threads.map(lambda _: pack(bytearray(lines), compression), range(8)))
    [(data, digest)] = packed
    unpacked = unpack(compression)(data)
    assert unpacked == lines
    assert len(digest) == 64


def unpack(compression: Compression) -> Any:
    return {"gzip": gzip.decompress, "zstd": zstandard.decompress}[compression]


def test_the_packed_file_tells_neither_time_nor_name() -> None:
    data = pack(b"x\n", "gzip").data
    flags, time = data[3], data[4:8]
    assert (flags, time) == (0, bytes(4))


def test_every_compression_has_a_suffix() -> None:
    assert set(envelope.SUFFIXES) == set(get_args(Compression))
