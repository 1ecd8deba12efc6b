"""The permit event as producers send it (P2), held to what the log can store before PostgreSQL ever sees it.

``eventData`` may carry further members; they are kept in the event. Those named here must have the types given here,
since the projection writes them into the permit.
"""

import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from lakefront.domain.numbers import decodes_slowly, has_big_integer, has_long_digits, written_out
from lakefront.eventlog.events import NewEvent


class PermitEventType(StrEnum):
    """What may happen to a permit."""

    STATUS_CHANGE = "status_change"
    INSPECTOR_ASSIGNMENT = "inspector_assignment"
    PERMIT_FILED = "permit_filed"
    PERMIT_ISSUED = "permit_issued"
    INSPECTION_SCHEDULED = "inspection_scheduled"
    INSPECTION_COMPLETED = "inspection_completed"
    PERMIT_COMPLETED = "permit_completed"
    PERMIT_EXPIRED = "permit_expired"
    PERMIT_CANCELLED = "permit_cancelled"


MAX_PAYLOAD = 64 * 1024
"""Largest ``eventData`` in bytes, its numbers written out."""
MAX_TEXT = 4 * MAX_PAYLOAD
"""Largest event in bytes as it is sent: escapes and blanks count."""
MAX_DEPTH = 32
"""Deepest nesting of ``eventData``."""

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(max_length=200)]
Words = Annotated[str, Meta(max_length=20_000)]
Moment = Annotated[datetime, Meta(tz=True)]
Integer = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Maybe = UnsetType


class _Data(Struct, rename="camel"):
    """A part of ``eventData``: what is absent changes nothing, what is null becomes unknown."""


class Address(_Data):
    """One address row of a permit; ``addressId`` is its identity (the data set's Record ID)."""

    address_id: Id
    block: Name | None = None
    lot: Name | None = None
    street_number: Name | None = None
    street_number_suffix: Name | None = None
    street_name: Name | None = None
    street_suffix: Name | None = None
    unit: Name | None = None
    unit_suffix: Name | None = None
    primary: bool = False
    neighborhood: Name | None = None
    supervisor_district: Integer | None = None
    zipcode: Name | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    point_source: Name | None = None


class PermitDetails(_Data):
    """What a life-cycle event may tell about its permit."""

    type: Name | Maybe | None = UNSET
    type_code: Name | Maybe | None = UNSET
    description: Words | Maybe | None = UNSET
    created_on: date | Maybe | None = UNSET
    expires_at: Moment | Maybe | None = UNSET
    first_construction_document_at: Moment | Maybe | None = UNSET
    last_activity_at: Moment | Maybe | None = UNSET
    estimated_cost: Integer | Maybe | None = UNSET
    revised_cost: Integer | Maybe | None = UNSET
    existing_use: Name | Maybe | None = UNSET
    proposed_use: Name | Maybe | None = UNSET
    existing_units: Integer | Maybe | None = UNSET
    proposed_units: Integer | Maybe | None = UNSET
    existing_stories: Integer | Maybe | None = UNSET
    proposed_stories: Integer | Maybe | None = UNSET
    existing_occupancy: Name | Maybe | None = UNSET
    proposed_occupancy: Name | Maybe | None = UNSET
    existing_construction_type: Name | Maybe | None = UNSET
    existing_construction_type_description: Name | Maybe | None = UNSET
    proposed_construction_type: Name | Maybe | None = UNSET
    proposed_construction_type_description: Name | Maybe | None = UNSET
    plansets: Integer | Maybe | None = UNSET
    structural_notification: bool | Maybe | None = UNSET
    voluntary_soft_story_retrofit: bool | Maybe | None = UNSET
    fire_only: bool | Maybe | None = UNSET
    site_permit: bool | Maybe | None = UNSET
    adu: bool | Maybe | None = UNSET
    tidf_compliance: Name | Maybe | None = UNSET
    submission_method: Name | Maybe | None = UNSET
    neighborhood: Name | Maybe | None = UNSET
    supervisor_district: Integer | Maybe | None = UNSET
    zipcode: Name | Maybe | None = UNSET
    addresses: Annotated[list[Address], Meta(max_length=1000)] | Maybe = UNSET


class StatusChange(_Data):
    """The permit has another status now."""

    new_status: Annotated[str, Meta(min_length=1, max_length=100)]
    previous_status: Name | Maybe | None = UNSET
    changed_by: Name | Maybe | None = UNSET
    reason: Words | Maybe | None = UNSET


class InspectorAssignment(_Data):
    """An inspector is responsible from now on."""

    inspector: Id
    inspection_type: Name | Maybe | None = UNSET
    assigned_by: Name | Maybe | None = UNSET
    reason: Words | Maybe | None = UNSET


class InspectionScheduled(_Data):
    """An inspection has a date; without ``scheduledFor`` the event's own time stands for it."""

    scheduled_for: Moment | Maybe | None = UNSET
    inspection_type: Name | Maybe | None = UNSET
    inspector: Name | Maybe | None = UNSET


class InspectionCompleted(_Data):
    """An inspection took place."""

    result: Name | Maybe | None = UNSET
    inspection_type: Name | Maybe | None = UNSET
    inspector: Name | Maybe | None = UNSET
    notes: Words | Maybe | None = UNSET


_EventType = Literal[
    "status_change",
    "inspector_assignment",
    "permit_filed",
    "permit_issued",
    "inspection_scheduled",
    "inspection_completed",
    "permit_completed",
    "permit_expired",
    "permit_cancelled",
]
"""PermitEventType as plain texts: an enum's members hash and compare slowly, and this is the hot path."""

DATA_TYPES: dict[str, type[_Data]] = {kind.value: PermitDetails for kind in PermitEventType} | {
    "status_change": StatusChange,
    "inspector_assignment": InspectorAssignment,
    "inspection_scheduled": InspectionScheduled,
    "inspection_completed": InspectionCompleted,
}


_MOMENTS = {
    kind: [
        (field.name, field.encode_name) for field in msgspec.structs.fields(kind) if field.type == Moment | Maybe | None
    ]
    for kind in DATA_TYPES.values()
}
"""The timestamps that ``eventData`` of each type may have: attribute and member."""

_MAX_OFFSET = timedelta(hours=16)
"""PostgreSQL takes offsets below this; RFC 3339 has them up to a day."""


class PermitEventMessage(Struct, rename="camel", forbid_unknown_fields=True):
    """The envelope as it is sent: the five members of P2, and three that travel along where a producer has them."""

    event_id: Id
    permit_id: Id
    event_type: _EventType
    timestamp: Moment
    event_data: dict[str, Any]
    correlation_id: Name | None = None
    source: Name = "sf-dbi"
    schema_version: Literal["1.0"] = "1.0"


class Rejected(Exception):
    """An event cannot be taken; ``field`` is a path such as ``eventData.newStatus``."""

    def __init__(self, field: str | None, message: str, event_id: str | None = None) -> None:
        self.field, self.message, self.event_id = field, message, event_id
        super().__init__(message)


_DECODER = msgspec.json.Decoder(PermitEventMessage)
_ENCODER = msgspec.json.Encoder(order="sorted")


def parse(text: bytes | msgspec.Raw, *, trace_id: str, latest: datetime) -> NewEvent:
    """Check one event's JSON text; raises ``Rejected`` with field and reason.

    ``latest`` bounds the timestamp: one from the far future would hold the permit's state for ever.
    """
    if len(memoryview(text)) > MAX_TEXT or decodes_slowly(text):
        raise Rejected(None, f"The event has over {MAX_TEXT:,} bytes, or too many numbers like 1e300. Split it up.")
    try:
        message = _DECODER.decode(text)
    except (msgspec.MsgspecError, ValueError) as wrong:
        raise _rejected(wrong, _event_id(text)) from None
    except RecursionError:
        raise Rejected(None, "The event is nested too deep.", None) from None
    try:
        payload = _payload(message)
        _storable(message, payload)
        occurred_at = _occurred_at(message, latest)
    except Rejected as rejected:
        rejected.event_id = message.event_id
        raise
    return NewEvent(
        event_id=message.event_id,
        event_type=message.event_type,
        partition_key=message.permit_id,
        occurred_at=occurred_at,
        payload=payload,
        trace_id=trace_id,
        correlation_id=message.correlation_id,
        schema_version=message.schema_version,
        source=message.source,
    )


def _payload(message: PermitEventMessage) -> bytes:
    """Canonical text of ``eventData``: keys sorted, so that every door gives an event the same hash."""
    try:
        data = msgspec.convert(message.event_data, DATA_TYPES[message.event_type])
        payload = _ENCODER.encode(message.event_data)
    except msgspec.ValidationError as wrong:
        raise _rejected(wrong, message.event_id, "eventData") from None
    except (RecursionError, ValueError, TypeError):
        raise Rejected("eventData", f"eventData is nested deeper than {MAX_DEPTH} levels.") from None
    for name, member in _MOMENTS[type(data)]:
        moment = getattr(data, name)
        if moment.__class__ is datetime and moment.tzinfo is not UTC:
            _check_moment(moment, f"eventData.{member}")
    # A number is at most some 60 times as long when it is written out, so small payloads need no look.
    size = len(payload) if len(payload) < MAX_PAYLOAD // 64 else written_out(payload)
    if size > MAX_PAYLOAD:
        raise Rejected("eventData", f"eventData has {size:,} bytes written out; at most {MAX_PAYLOAD:,} are taken.")
    if payload.count(b"[") + payload.count(b"{") > MAX_DEPTH and _depth(message.event_data) > MAX_DEPTH:
        raise Rejected("eventData", f"eventData is nested deeper than {MAX_DEPTH} levels.")
    if has_long_digits(payload) and has_big_integer(message.event_data):
        raise Rejected("eventData", "An integer exceeds 64 bits. Send it as a string.")
    return payload


def _occurred_at(message: PermitEventMessage, latest: datetime) -> datetime:
    try:
        occurred_at = message.timestamp.astimezone(UTC)
    except OverflowError:
        raise Rejected("timestamp", "The timestamp lies outside the years 1 to 9999.") from None
    if occurred_at > latest:
        raise Rejected("timestamp", "The timestamp lies too far in the future. Check the producer's clock.")
    return occurred_at


def _check_moment(moment: datetime, field: str) -> None:
    """What the projection hands to PostgreSQL as text must be a timestamp there, too."""
    if abs(moment.utcoffset() or timedelta(0)) >= _MAX_OFFSET:
        raise Rejected(field, "The timestamp's offset from UTC must be less than 16 hours.")
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise Rejected(field, "The timestamp lies outside the years 1 to 9999.") from None


def _storable(message: PermitEventMessage, payload: bytes) -> None:
    """PostgreSQL's texts hold no NUL."""
    if "\0" in message.event_id + message.permit_id + message.source + (message.correlation_id or ""):
        texts = {"eventId": message.event_id, "permitId": message.permit_id, "source": message.source}
        [name, *_] = [*(name for name, text in texts.items() if "\0" in text), "correlationId"]
        raise Rejected(name, "The character U+0000 cannot be stored.")
    if rb"\u0000" in payload and _has_nul(message.event_data):
        raise Rejected("eventData", "The character U+0000 cannot be stored.")


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_has_nul(item) for item in value)
    return isinstance(value, str) and "\0" in value


def _depth(value: Any) -> int:
    level, deepest = [value], 0
    while level:
        deepest += 1
        level = [
            item
            for part in level
            for item in (part.values() if isinstance(part, dict) else part)
            if isinstance(item, dict | list)
        ]
    return deepest


_PLACE = re.compile(r"^(?P<reason>.*?)(?: - at (?:key in )?`\$?(?P<path>[^`]*)`)?$", re.DOTALL)
_MEMBER = re.compile(r"(?:required|unknown) field `(?P<name>[^`]*)`")


def _rejected(wrong: Exception, event_id: str | None, prefix: str = "") -> Rejected:
    """The decoder's message as field and reason; it names types and limits, never the value."""
    found = _PLACE.match(str(wrong))
    reason, path = (found["reason"], found["path"] or "") if found else (str(wrong), "")
    if reason.startswith("Invalid enum value"):
        reason = f"Unknown event type. Use one of {', '.join(PermitEventType)}"
    if "RFC3339" in reason or "timezone" in reason:
        reason = "Write the time with its zone, as 2024-01-15T10:30:00Z"
    member = _MEMBER.search(reason)
    parts = [part for part in (prefix, path.lstrip("."), member["name"] if member else "") if part]
    if member and "unknown" in reason:
        reason += ". Further data belongs into eventData"
    return Rejected(".".join(parts) or None, f"{reason[:400]}.", event_id)


class _OnlyId(Struct, rename="camel"):
    event_id: Any = None


def _event_id(text: bytes | msgspec.Raw) -> str | None:
    """The id of an event that is otherwise wrong, so that its verdict can name it."""
    try:
        found = msgspec.json.decode(text, type=_OnlyId).event_id
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found[:200] if isinstance(found, str) else None


def latest_timestamp(max_future: int) -> datetime:
    """The last timestamp that is taken: ``max_future`` seconds from now."""
    return datetime.now(UTC) + timedelta(seconds=max_future)
