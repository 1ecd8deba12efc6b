"""When a rule holds: small typed tests of an event's fields, all of which have to pass."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from lakefront.domain.cities import invalid
from lakefront.domain.notices.streams import Kind, Stream

MOST: Final = 20
"""Tests of one rule."""

MOST_VALUES: Final = 100


class Operator(StrEnum):
    """How a field is tested. What an event does not say is none of the values, and neither more nor less than any."""

    IN = "IN"
    """It is one of the values; texts in whatever case."""
    NOT_IN = "NOT_IN"
    """It is none of them, or not there."""
    AT_LEAST = "AT_LEAST"
    AT_MOST = "AT_MOST"
    IS_KNOWN = "IS_KNOWN"
    """It is there; without values."""
    IS_UNKNOWN = "IS_UNKNOWN"


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One test. ``values`` are texts whatever the field's kind: ``"250000"``, ``"true"``, an RFC 3339 time."""

    field: str
    operator: Operator
    values: tuple[Annotated[str, Meta(max_length=200)], ...] = ()


def check(stream: Stream, conditions: Sequence[Condition]) -> None:
    """Raise ``ValidationError`` for what could never be evaluated."""
    if len(conditions) > MOST:
        raise invalid("conditions", f"A rule has at most {MOST} conditions.")
    for place, condition in enumerate(conditions):
        at = f"conditions.{place}"
        field = stream.fields.get(condition.field)
        if field is None:
            there = ", ".join(stream.fields)
            raise invalid(f"{at}.field", f"Events of {stream.name} say no such thing. They may say: {there}.")
        _check_values(at, condition, field.kind)


def holds(stream: Stream, conditions: Sequence[Condition], event: Mapping[str, Any]) -> bool:
    """Whether ``event`` (as ``streams.told`` gives it) passes all of them. Never raises for checked conditions."""
    return all(_passes(condition, stream.fields[condition.field].kind, event) for condition in conditions)


def _check_values(at: str, condition: Condition, kind: Kind) -> None:
    count, operator = len(condition.values), condition.operator
    if operator in (Operator.IS_KNOWN, Operator.IS_UNKNOWN):
        if count:
            raise invalid(f"{at}.values", f"{operator} takes no values.")
        return
    if operator in (Operator.AT_LEAST, Operator.AT_MOST):
        if count != 1:
            raise invalid(f"{at}.values", f"{operator} takes one value.")
        if kind not in (Kind.NUMBER, Kind.MOMENT):
            raise invalid(f"{at}.operator", f"{condition.field} is no number or time: compare it with IN or NOT_IN.")
    elif not 1 <= count <= MOST_VALUES:
        raise invalid(f"{at}.values", f"{operator} takes 1 to {MOST_VALUES} values.")
    for value in condition.values:
        try:
            _READ[kind](value)
        except ValueError:
            raise invalid(f"{at}.values", f"{condition.field} is {_FORM[kind]}.") from None


def _passes(condition: Condition, kind: Kind, event: Mapping[str, Any]) -> bool:
    said = _said(kind, event.get(condition.field))
    match condition.operator:
        case Operator.IS_KNOWN:
            return said is not None
        case Operator.IS_UNKNOWN:
            return said is None
        case Operator.IN:
            return said in map(_READ[kind], condition.values)
        case Operator.NOT_IN:
            return said not in map(_READ[kind], condition.values)
    if said is None:
        return False
    [bound] = map(_READ[kind], condition.values)
    return bool(said >= bound) if condition.operator is Operator.AT_LEAST else bool(said <= bound)


def _said(kind: Kind, value: Any) -> Any:
    """What an event says, comparable; None where it says nothing, or something of another kind."""
    if value is None or (isinstance(value, bool) is not (kind is Kind.BOOLEAN)):
        return None
    try:
        return _READ[kind](str(value))
    except ValueError:
        return None


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number) or "_" in text:
        raise ValueError(text)
    return number


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None


_READ: Final[Mapping[Kind, Callable[[str], Any]]] = {
    Kind.TEXT: lambda text: text.strip().casefold(),
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.MOMENT: _moment,
}
_FORM: Final[Mapping[Kind, str]] = {
    Kind.TEXT: "a text",
    Kind.NUMBER: "a number: 250000, 0.5",
    Kind.BOOLEAN: "true or false",
    Kind.MOMENT: "a time with its zone: 2026-05-28T14:00:00Z",
}
