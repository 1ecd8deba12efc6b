"""Values that a statement can bind: their types, and how to get them back from PostgreSQL's JSON forms."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Float,
    Integer,
    SmallInteger,
    String,
    Uuid,
    bindparam,
)
from sqlalchemy.types import TypeEngine


def operand_type(column: ColumnElement[Any]) -> TypeEngine[Any]:
    """The type as which a value is compared with ``column``: any 32-bit integer may be compared with a ``smallint``."""
    return Integer() if isinstance(column.type, SmallInteger) else column.type


def operand(column: ColumnElement[Any], value: Any) -> BindParameter[Any]:
    """``value`` as a parameter to compare ``column`` with."""
    return bindparam(None, value, operand_type(column), unique=True)


def from_json(type_: TypeEngine[Any], value: Any) -> Any:
    """The value of a column of ``type_`` that ``row_to_json`` wrote as ``value``; raises ``ValueError`` for others."""
    return None if value is None else reader(type_)(value)


def reader(type_: TypeEngine[Any]) -> Callable[[Any], Any]:
    """``from_json`` for many values of one type; raises ``ValueError`` where there is none."""
    for known, read in _READERS.items():
        if isinstance(type_, known):
            return partial(_nullable, read)
    raise ValueError(f"no value of {type_!r} can be read back")


def _nullable(read: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else read(value)


def readable(type_: TypeEngine[Any]) -> bool:
    """Whether rows may have values of ``type_``: JSON, which is not compared, or what can be read back."""
    return isinstance(type_, (JSON, *_READERS))


def bindable(text: str) -> bool:
    """Whether PostgreSQL can hold ``text``: no NUL, no lone surrogate."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not bindable(value):
        raise ValueError("not a text")
    return value


def _integer(value: Any, bits: int = 32) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and -(1 << bits - 1) <= value < 1 << bits - 1:
        return value
    raise ValueError(f"not an integer of {bits} bits")


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


_READERS: Mapping[type[TypeEngine[Any]], Callable[[Any], Any]] = {
    Boolean: _boolean,
    BigInteger: partial(_integer, bits=64),
    Integer: _integer,
    Float: _number,
    DateTime: _timestamp,
    Date: lambda value: date.fromisoformat(_text(value)),
    Uuid: lambda value: UUID(_text(value)),
    String: _text,
}
