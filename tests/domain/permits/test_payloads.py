"""What is taken as a permit event, and what is refused with which field and reason (P2, P5)."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.db.database import Database
from lakefront.domain.permits.payloads import MAX_PAYLOAD, MAX_TEXT, Rejected, latest_timestamp, parse
from lakefront.eventlog.postgres.rows import prepare
from tests.domain.permits.events import event, text

LATEST = latest_timestamp(86_400)


def rejection(body: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse(body, trace_id="t", latest=LATEST)
    return caught.value


def test_the_documents_event_is_taken() -> None:
    taken = parse(text(), trace_id="t", latest=LATEST)
    assert taken.event_id == "evt_12345"
    assert taken.partition_key == "PRM2024-001234"
    assert taken.occurred_at == datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    assert orjson.loads(taken.payload) == event()["eventData"]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"eventId": ...}, "eventId"),
        ({"eventId": ""}, "eventId"),
        ({"eventId": 5}, "eventId"),
        ({"eventId": "x" * 201}, "eventId"),
        ({"eventId": "a\0b"}, "eventId"),
        ({"permitId": ...}, "permitId"),
        ({"eventType": "permit_burnt"}, "eventType"),
        ({"timestamp": "2024-01-15T10:30:00"}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "2999-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp"),
        ({"eventData": ...}, "eventData"),
        ({"eventData": []}, "eventData"),
        ({"eventData": {}}, "eventData.newStatus"),
        ({"eventData": {"newStatus": None}}, "eventData.newStatus"),
        ({"eventData": {"newStatus": "a\0"}}, "eventData"),
        ({"eventData": {"newStatus": "a", "n": 2**64}}, "eventData"),
        ({"eventData": {"newStatus": "a", "long": "x" * MAX_PAYLOAD}}, "eventData"),
        ({"eventData": {"newStatus": "a", "long": [1e300] * 1500}}, "eventData"),
        ({"surprise": 1}, "surprise"),
        ({"eventType": "permit_filed", "eventData": {"estimatedCost": "5000"}}, "eventData.estimatedCost"),
        ({"eventType": "permit_filed", "eventData": {"estimatedCost": 2**31}}, "eventData.estimatedCost"),
        *(
            ({"eventType": "permit_filed", "eventData": {"expiresAt": at}}, "eventData.expiresAt")
            for at in ("2024-01-15T00:00:00+16:00", "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00")
        ),
        (
            {"eventType": "inspection_scheduled", "eventData": {"scheduledFor": "2024-01-15T00:00:00-23:59"}},
            "eventData.scheduledFor",
        ),
        (
            {"eventType": "permit_filed", "eventData": {"addresses": [{"block": "1"}]}},
            "eventData.addresses[0].addressId",
        ),
        (
            {"eventType": "permit_filed", "eventData": {"addresses": [{"addressId": "1", "latitude": 91}]}},
            "eventData.addresses[0].latitude",
        ),
        ({"eventType": "inspector_assignment", "eventData": {}}, "eventData.inspector"),
    ],
)
def test_what_is_wrong_is_told_by_field(members: dict[str, Any], field: str) -> None:
    wrong = rejection(text(**members))
    assert wrong.field is not None
    assert wrong.field.replace("[...]", "[0]") == field
    assert wrong.message


@pytest.mark.parametrize(
    "body",
    [
        b"1",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b'{"eventId":"a\xff"}',
        b'{"eventId":"' + rb"\ud800" + b'"}',
        b'{"eventId":"a","eventData":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        text().replace(b'"under_review"', b"1e999"),
        text().replace(b'"under_review"', b"1" * 100_000),
        text().replace(b'"under_review"', b"NaN"),
        text().replace(b'"under_review"', b"[" * 40 + b"]" * 40),
        text().replace(b'"under_review"', b"[" * 600 + b"1" * 20 + b"]" * 600),
        text().replace(b'"under_review"', b"[" + b"1e308," * 100_000 + b"1]"),
        text() + b" " * MAX_TEXT,
    ],
)
def test_what_no_parser_likes_is_a_rejection_too(body: bytes) -> None:
    assert rejection(body).message


def test_a_wrong_event_is_named_by_its_id() -> None:
    assert rejection(text(eventType="permit_burnt")).event_id == "evt_12345"
    assert rejection(text(eventData={})).event_id == "evt_12345"


def test_the_hash_does_not_depend_on_the_order_of_keys() -> None:
    datas = ({"newStatus": "a", "reason": "b"}, {"reason": "b", "newStatus": "a"}, {"newStatus": "a"})
    events = [parse(text(eventData=data), trace_id="t", latest=LATEST) for data in datas]
    one, other, different = prepare("city", "sf-permit-events", events)
    assert one.body() == other.body() != different.body()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


async def test_whatever_is_taken_postgresql_can_store(database: Database) -> None:
    """Any JSON: either refused with a reason, or stored by PostgreSQL and read back by our own parser."""
    bodies: list[bytes] = []

    @given(st.dictionaries(st.text(), JSON, max_size=5), st.text(), st.datetimes())
    def collect(data: dict[str, Any], name: str, at: datetime) -> None:
        # The standard writer lets NaN, huge integers and lone surrogates through, as hostile clients do.
        body = json.dumps(
            event(eventId=name, timestamp=at.isoformat() + "Z", eventData={**data, "newStatus": "x"})
        ).encode()
        try:
            bodies.append(parse(body, trace_id="t", latest=LATEST).payload)
        except Rejected:
            return

    collect()
    assert bodies
    async with database.transaction("city") as transaction:
        rows = await transaction.fetch("SELECT unnest($1::jsonb[]) AS data", bodies)
    assert len(rows) == len(bodies)
