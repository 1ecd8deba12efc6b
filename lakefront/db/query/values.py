"""From PostgreSQL's JSON forms back to values that a statement can bind."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Date, DateTime, Float, Integer, String, Uuid
from sqlalchemy.types import TypeEngine

_BITS = 63


def from_json(type_: TypeEngine[Any], value: Any) -> Any:
    """The value of a column of ``type_`` that ``row_to_json`` wrote as ``value``; raises ``ValueError`` for others."""
    if value is None:
        return None
    for known, read in _READERS.items():
        if isinstance(type_, known):
            return read(value)
    raise ValueError(f"no value of {type_!r} can be read back")


def bindable(text: str) -> bool:
    """Whether PostgreSQL can hold ``text``: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not bindable(value):
        raise ValueError("not a text")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value.bit_length() > _BITS:
        raise ValueError("not an integer")
    return value


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError("not a number")


def _boolean(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise ValueError("not a boolean")


def _timestamp(value: Any) -> datetime:
    found = datetime.fromisoformat(_text(value))
    if found.tzinfo is None:
        raise ValueError("no time zone")
    return found


_READERS = {
    Boolean: _boolean,
    Integer: _integer,
    Float: _number,
    DateTime: _timestamp,
    Date: lambda value: date.fromisoformat(_text(value)),
    Uuid: lambda value: UUID(_text(value)),
    String: _text,
}
