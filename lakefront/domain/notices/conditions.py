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

MOST_VALUES: Final = 200
"""Values of one rule, of all its tests together: rules are read and held against events by the hundred."""

Test = Callable[[Mapping[str, Any]], bool]
"""Of an event, as ``streams.told`` gives it."""


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
    if sum(len(condition.values) for condition in conditions) > MOST_VALUES:
        raise invalid("conditions", f"The conditions of a rule have at most {MOST_VALUES} values.")
    for place, condition in enumerate(conditions):
        at = f"conditions.{place}"
        field = stream.fields.get(condition.field)
        if field is None:
            there = ", ".join(stream.fields)
            raise invalid(f"{at}.field", f"Events of {stream.name} say no such thing. They may say: {there}.")
        _check_values(at, condition, field.kind)


def test_of(stream: Stream, conditions: Sequence[Condition]) -> Test:
    """What tells whether an event passes all of them; values are read once. Never raises for checked conditions."""
    tests = [_test(condition, stream.fields[condition.field].kind) for condition in conditions]
    return lambda event: all(test(event) for test in tests)


def holds(stream: Stream, conditions: Sequence[Condition], event: Mapping[str, Any]) -> bool:
    """Whether ``event`` passes all of them."""
    return test_of(stream, conditions)(event)


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
    elif not count:
        raise invalid(f"{at}.values", f"{operator} takes values.")
    for value in condition.values:
        try:
            _READ[kind](value)
        except ValueError:
            raise invalid(f"{at}.values", f"{condition.field} is {_FORM[kind]}.") from None


def _test(condition: Condition, kind: Kind) -> Test:
    name, values = condition.field, tuple(map(_READ[kind], condition.values))
    match condition.operator:
        case Operator.IS_KNOWN:
            return lambda event: _said(kind, event.get(name)) is not None
        case Operator.IS_UNKNOWN:
            return lambda event: _said(kind, event.get(name)) is None
        case Operator.IN:
            some = frozenset(values)
            return lambda event: _said(kind, event.get(name)) in some
        case Operator.NOT_IN:
            none = frozenset(values)
            return lambda event: _said(kind, event.get(name)) not in none
        case Operator.AT_LEAST:
            return lambda event: (said := _said(kind, event.get(name))) is not None and bool(said >= values[0])
        case Operator.AT_MOST:
            return lambda event: (said := _said(kind, event.get(name))) is not None and bool(said <= values[0])


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
