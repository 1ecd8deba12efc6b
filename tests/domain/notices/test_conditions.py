"""Rules' conditions: typed, checked when a rule is saved, and never wrong in between (C8)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakefront.domain.notices.conditions import MOST, Condition, Operator, check, holds
from lakefront.domain.notices.streams import STREAMS, Kind
from lakefront.errors import ValidationError

PERMITS = STREAMS["sf-permit-events"]
REQUESTS = STREAMS["service-request-events"]
START = datetime(2026, 5, 28, 14, tzinfo=UTC)

_VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: st.sampled_from(["Rodent", "rodent", "Noise", "", "Ünï"]),
    Kind.NUMBER: st.integers(-3, 3) | st.sampled_from([0.5, -0.5]),
    Kind.BOOLEAN: st.booleans(),
    Kind.MOMENT: st.integers(-2, 2).map(lambda hours: (START + timedelta(hours=hours)).isoformat()),
}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(sorted(PERMITS.fields)))
    kind = PERMITS.fields[name].kind
    ordered = kind in (Kind.NUMBER, Kind.MOMENT)
    operator = draw(st.sampled_from([each for each in Operator if ordered or not each.startswith("AT_")]))
    if operator in (Operator.IS_KNOWN, Operator.IS_UNKNOWN):
        return Condition(name, operator)
    most = 1 if operator.startswith("AT_") else 3
    return Condition(name, operator, tuple(draw(st.lists(_VALUES[kind].map(_text), min_size=1, max_size=most))))


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Events that say what they should, or nothing, or something of another kind."""
    odd = st.sampled_from([None, "?", 7, True])
    return {name: draw(_VALUES[field.kind] | odd) for name, field in PERMITS.fields.items() if draw(st.integers(0, 3))}


def expected(condition: Condition, event: dict[str, Any]) -> bool:
    """The same in another way: both sides as what they mean, compared by Python."""
    kind = PERMITS.fields[condition.field].kind
    said = event.get(condition.field)
    types: dict[Kind, tuple[type, ...]] = {Kind.BOOLEAN: (bool,), Kind.NUMBER: (int, float), Kind.MOMENT: (str,)}
    fits = types.get(kind, (str, int))
    known = isinstance(said, fits) and isinstance(said, bool) is (kind is Kind.BOOLEAN)
    if kind is Kind.MOMENT and said == "?":
        known = False
    readings: dict[Kind, Callable[[Any], Any]] = {
        Kind.TEXT: lambda value: str(value).strip().casefold(),
        Kind.NUMBER: float,
        Kind.BOOLEAN: lambda value: str(value).lower() == "true",
        Kind.MOMENT: lambda value: datetime.fromisoformat(value).timestamp(),
    }
    meant = readings[kind]
    values = [meant(value) for value in condition.values]
    outcomes: dict[Operator, Callable[[], bool]] = {
        Operator.IS_KNOWN: lambda: known,
        Operator.IS_UNKNOWN: lambda: not known,
        Operator.IN: lambda: known and meant(said) in values,
        Operator.NOT_IN: lambda: not known or meant(said) not in values,
        Operator.AT_LEAST: lambda: known and meant(said) >= values[0],
        Operator.AT_MOST: lambda: known and meant(said) <= values[0],
    }
    return outcomes[condition.operator]()


@settings(max_examples=60)
@given(st.lists(conditions(), max_size=4), events())
def test_conditions_hold_exactly_where_all_of_them_do(tests: list[Condition], event: dict[str, Any]) -> None:
    check(PERMITS, tests)
    assert holds(PERMITS, tests, event) is all(expected(each, event) for each in tests)


@settings(max_examples=40)
@given(conditions(), events())
def test_in_and_not_in_are_each_other_s_opposite(test: Condition, event: dict[str, Any]) -> None:
    pairs = {Operator.IN: Operator.NOT_IN, Operator.IS_KNOWN: Operator.IS_UNKNOWN}
    if test.operator in pairs:
        other = Condition(test.field, pairs[test.operator], test.values)
        assert holds(PERMITS, [test], event) is not holds(PERMITS, [other], event)


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        (Condition("inspector", Operator.IN, ("Ada",)), "conditions.0.field"),
        (Condition("estimatedCost", Operator.IN, ("much",)), "conditions.0.values"),
        (Condition("estimatedCost", Operator.AT_LEAST, ("nan",)), "conditions.0.values"),
        (Condition("estimatedCost", Operator.AT_LEAST, ("1", "2")), "conditions.0.values"),
        (Condition("neighborhood", Operator.AT_LEAST, ("A",)), "conditions.0.operator"),
        (Condition("neighborhood", Operator.IN, ()), "conditions.0.values"),
        (Condition("neighborhood", Operator.IS_KNOWN, ("x",)), "conditions.0.values"),
        (Condition("adu", Operator.IN, ("perhaps",)), "conditions.0.values"),
        (Condition("scheduledFor", Operator.AT_MOST, ("2026-05-28T14:00:00",)), "conditions.0.values"),
    ],
)
def test_what_could_never_hold_is_refused(condition: Condition, field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check(PERMITS, [condition])
    assert caught.value.details[0]["field"] == field


def test_a_rule_has_a_bounded_number_of_them() -> None:
    with pytest.raises(ValidationError, match="at most"):
        check(PERMITS, [Condition("adu", Operator.IS_KNOWN)] * (MOST + 1))


def test_nothing_that_people_wrote_can_be_named() -> None:
    for stream in STREAMS.values():
        assert not stream.fields.keys() & {"description", "notes", "reason", "address", "inspector", "resolution"}
