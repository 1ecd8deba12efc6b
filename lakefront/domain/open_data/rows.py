"""What is made of a page's rows (C5): typed values, an event each, and what is wrong with those that are skipped.

It is work for a thread: ten thousand rows take about half a second.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import blake2b
from math import isfinite
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import orjson

from lakefront.adapters.opendata import Row
from lakefront.domain.numbers import written_out
from lakefront.domain.open_data.datasets import DataSet, Form
from lakefront.eventlog.events import NewEvent

MOST_BYTES: Final = 64 * 1024
"""Bytes of a row as JSON: published ones have some 2 kB."""

MOST_KEY: Final = 400
"""Characters of a natural key."""

_APART: Final = "|"
"""Between the parts of a natural key."""


class Problem(msgspec.Struct, frozen=True):
    """Why a row was skipped: ``row`` is the publisher's id of it, ``field`` the column. No value is told."""

    row: str
    field: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A row to be taken in: ``row_id`` is the publisher's, ``columns`` are typed, ``digest`` is of what it says."""

    row_id: str
    key: str
    digest: UUID
    updated_at: datetime
    columns: Mapping[str, Any]
    event: NewEvent


@dataclass(slots=True)
class Parsed:
    """A page's rows by their keys. ``doubles``: rows that a later one of the same key stood for."""

    entries: dict[str, Entry] = field(default_factory=dict)
    doubles: int = 0
    problems: list[Problem] = field(default_factory=list)


class _Wrong(Exception):
    def __init__(self, field: str | None, message: str) -> None:
        self.field = field
        self.message = message
        super().__init__(message)


def parse(data_set: DataSet, rows: Iterable[Row], trace_id: str) -> Parsed:
    """What is to be taken in of ``rows``: of those with one natural key, the one that was published last."""
    found, zone = Parsed(), ZoneInfo(data_set.time_zone)
    for row in rows:
        try:
            entry = _entry(data_set, zone, row, trace_id)
        except _Wrong as wrong:
            found.problems.append(Problem(_named(row), wrong.field, wrong.message))
            continue
        held = found.entries.get(entry.key)
        found.doubles += held is not None
        if held is None or held.updated_at <= entry.updated_at:
            found.entries[entry.key] = entry
    return found


def _entry(data_set: DataSet, zone: ZoneInfo, row: Row, trace_id: str) -> Entry:
    for name in data_set.needed:
        if not str(row.columns.get(name) or "").strip():
            raise _Wrong(name, "It is empty, so that nobody can tell what the row is about.")
    columns = {name: value for name, value in row.columns.items() if value is not None}
    for name, form in data_set.forms.items():
        if name in columns:
            columns[name] = _typed(name, form, columns[name], zone)
    key = _APART.join(str(columns.get(name, "")).strip() for name in data_set.natural_key)
    told = _json({name: value for name, value in columns.items() if name not in data_set.noise})
    payload = _json({"dataset": data_set.dataset, "updatedAt": _written(row.updated_at), "columns": columns})
    _check_storable(key, columns, payload)
    happened = [moment for name in data_set.happened if (moment := _moment(columns.get(name), zone)) is not None]
    event = NewEvent(
        event_id=f"{data_set.dataset}:{_digest(key.encode(), _written(row.updated_at).encode(), told).hex()}",
        event_type=data_set.kind.value,
        partition_key=key,
        occurred_at=min(max(happened, default=row.updated_at), row.updated_at),
        payload=payload,
        trace_id=trace_id,
        source=data_set.dataset,
    )
    return Entry(_named(row), key, UUID(bytes=_digest(told)), row.updated_at, columns, event)


def _named(row: Row) -> str:
    """The publisher's id of it, as it can be stored."""
    return row.id[:200].replace("\0", "?")


def _typed(name: str, form: Form, value: Any, zone: ZoneInfo) -> Any:
    try:
        return _READ[form](value, zone)
    except (ValueError, TypeError, OverflowError):
        raise _Wrong(name, f"It is no {form.value}.") from None


def _integer(value: Any, _zone: ZoneInfo) -> int:
    number = _number(value, _zone)
    if not number.is_integer() or abs(number) >= 2**31:
        raise ValueError
    return int(number)


def _number(value: Any, _zone: ZoneInfo) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError
    return number


def _date(value: Any, _zone: ZoneInfo) -> str:
    return datetime.fromisoformat(value).date().isoformat()


def _local(value: Any, zone: ZoneInfo) -> str:
    moment = datetime.fromisoformat(value)
    return _written(moment.replace(tzinfo=zone) if moment.tzinfo is None else moment)


_READ: Final[Mapping[Form, Callable[[Any, ZoneInfo], Any]]] = {
    Form.INTEGER: _integer,
    Form.NUMBER: _number,
    Form.DATE: _date,
    Form.MOMENT: _local,
}


def _moment(value: Any, zone: ZoneInfo) -> datetime | None:
    """The time that a typed column names; a date is the beginning of that day in the city."""
    if not isinstance(value, str):
        return None
    if len(value) == len("2026-01-31"):
        day = date.fromisoformat(value)
        return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    return datetime.fromisoformat(value)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _check_storable(key: str, columns: Mapping[str, Any], payload: bytes) -> None:
    """PostgreSQL's texts hold no NUL, and its keys are short."""
    if len(key) > MOST_KEY:
        raise _Wrong(None, f"What it is about has more than {MOST_KEY} characters.")
    if written_out(payload) > MOST_BYTES:
        raise _Wrong(None, f"It has more than {MOST_BYTES} bytes.")
    if rb"\u0000" in payload and _has_nul(columns):
        raise _Wrong(None, "It has the character U+0000, which cannot be stored.")


def _has_nul(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any("\0" in key or _has_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, TypeError):
        raise _Wrong(None, "It has a value that cannot be stored.") from None


def _digest(*parts: bytes) -> bytes:
    hashed = blake2b(digest_size=16)
    for part in parts:
        hashed.update(len(part).to_bytes(4, "big") + part)
    return hashed.digest()
