"""Arguments of fields: filters, orders, pages with cursors that fit, groups whose order fits."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from graphql import GraphQLField, is_required_argument
from strawberry.utils.str_converters import to_camel_case

from lakefront.errors import ValidationError
from lakefront.graphql.declare.cursors import cursor, encode
from lakefront.graphql.declare.orders import OrderDirection, read_order
from tests.graphql.fuzz.choices import Choices
from tests.graphql.fuzz.facts import Facts
from tests.graphql.fuzz.values import Pools, Values
from tests.graphql.fuzz.variables import ABSENT, Variables

PAGING: Final = ("first", "after", "last", "before")
_PAGES: Final = (
    *(("first",), ("first", "after"), ("last",), ("last", "before"), ("first", "before"), ("last", "after")),
    *(("first", "after", "before"), ("last", "after", "before"), ("after",), ("before",)),
)
_SIZES: Final = (2, 1, 3, 5, 0)
_CORRUPT: Final = ("", "x", "W10", "WyJhIl0", "!", "é", encode(["000000000000", 1]), encode([{}]), "A" * 300)


class Arguments:
    """Draws a field's arguments, as they are written."""

    def __init__(self, choices: Choices, facts: Facts, pools: Pools, variables: Variables, *, spoil: bool) -> None:
        self._choices = choices
        self._facts = facts
        self._pools = pools
        self._variables = variables
        self._values = Values(choices, pools, spoil=spoil)
        self._spoil = spoil

    def of(self, field: GraphQLField, depth: int) -> str:
        """``(name: value, …)``, or nothing."""
        if not field.args:
            return ""
        given: dict[str, Any] = {}
        for name, argument in field.args.items():
            if name in PAGING and "first" in field.args:
                continue
            if is_required_argument(argument) or self._choices.chance(50):
                given[name] = self._values.value(argument.type, name)
            elif self._choices.chance(5):
                given[name] = self._choices.pick((None, ABSENT))
        if "last" in field.args:
            self._pages(given, field, depth)
        elif "first" in field.args and self._choices.chance(60):
            given["first"] = self._size()
        if isinstance(given.get("orderBy"), list):
            _fit_groups(self._choices, given)
            if not self._spoil:
                given["orderBy"] = list({_names(item): item for item in given["orderBy"]}.values())
        parts = [
            f"{name}: {self._variables.write(value, field.args[name].type, 30, self._again(field, name, given))}"
            for name, value in self._shuffled(given).items()
        ]
        return f"({', '.join(parts)})" if parts else ""

    def _shuffled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: given[name] for name in self._choices.several(list(given), len(given), len(given))}

    def _again(self, field: GraphQLField, name: str, given: Mapping[str, Any]) -> Callable[[], Any] | None:
        """What gives another value of the argument ``name``, where that leaves the others their meaning."""
        if name in {"orderBy", "groupBy"}:
            return None
        if name in {"first", "last"}:
            return self._size
        if name in {"after", "before"}:
            return partial(self._cursor, field, given.get("orderBy"))
        return partial(self._values.value, field.args[name].type, name)

    def _size(self) -> Any:
        if self._spoil and self._choices.chance(15):
            return self._choices.pick((-1, 1001, None, ABSENT))
        return self._choices.pick(_SIZES)

    def _pages(self, given: dict[str, Any], field: GraphQLField, depth: int) -> None:
        wanted = self._choices.pick(_PAGES)
        if depth == 0 and self._choices.chance(8):
            wanted = ()
        if self._spoil and self._choices.chance(5):
            wanted = ("first", "last")
        for name in ("first", "last"):
            if name in wanted or (depth > 0 and "last" not in wanted and name == "first"):
                given[name] = self._size()
        for name in ("after", "before"):
            if name in wanted:
                given[name] = self._cursor(field, given.get("orderBy"))
            elif self._choices.chance(4):
                given[name] = self._choices.pick((None, ABSENT))

    def _cursor(self, field: GraphQLField, order: Any) -> str:
        """Of a row in this order; sometimes of another field, of another order, or made up."""
        record = self._facts.record(field)
        rows = self._pools.rows.get(record.record_source.name, ()) if record is not None else ()
        if record is not None and rows and not (self._spoil and self._choices.chance(30)):
            source = record.record_source
            with suppress(ValidationError, KeyError, TypeError):  # no order: any cursor will do
                keys = read_order(record, source, _directions(order))
                row = dict(self._choices.pick(rows))
                if self._choices.chance(15):  # where no row is, or none is any more
                    key = self._choices.pick(keys)
                    row[key.column] = self._choices.pick(rows)[key.column]
                return cursor(source, keys, row)
        known: Sequence[str] = self._pools.by_name.get("cursor", ())
        return self._choices.pick((*known, *_CORRUPT))


def _names(item: Any) -> tuple[str, ...]:
    """What an item of an order orders by."""
    if not isinstance(item, Mapping):
        return ()
    return tuple(part for name, value in item.items() for part in (name, *_names(value)))


def _directions(order: Any) -> Any:
    """``order`` as a resolver gets it; it raises KeyError or TypeError where that would not come so far."""
    if order is None or order is ABSENT:
        return None
    return [_direction(item) for item in order]


def _direction(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _direction(value) if isinstance(value, Mapping) else OrderDirection[value]
        for name, value in item.items()
        if value is not ABSENT
    }


def _fit_groups(choices: Choices, given: dict[str, Any]) -> None:
    """Let groups be ordered by what they are grouped by; leave anything else as it is."""
    by = given.get("groupBy")
    for item in given["orderBy"]:
        key = item.get("key") if isinstance(item, dict) else None
        if isinstance(key, dict) and len(key) == 1 and isinstance(by, list) and by:
            (direction,) = key.values()
            item["key"] = {to_camel_case(choices.pick(by).lower()): direction}
