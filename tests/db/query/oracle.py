"""What filters and orders mean, said once more in plain Python over the same rows."""

import re
from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import Any

from lakefront.db.database import Row
from lakefront.db.query import (
    All,
    Compare,
    Either,
    Expression,
    Near,
    Operator,
    Opposite,
    OrderKey,
    Quantifier,
    Related,
    Source,
)
from lakefront.db.query.values import from_json

_OPERATORS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: lambda value, other: value == other,
    Operator.IN: lambda value, others: value in others,
    Operator.LT: lambda value, other: value < other,
    Operator.LTE: lambda value, other: value <= other,
    Operator.GT: lambda value, other: value > other,
    Operator.GTE: lambda value, other: value >= other,
    Operator.BETWEEN: lambda value, pair: pair[0] <= value <= pair[1],
    Operator.LIKE: lambda value, pattern: bool(re.fullmatch(_regex(pattern), value, re.DOTALL)),
    Operator.ILIKE: lambda value, pattern: bool(re.fullmatch(_regex(pattern), value, re.DOTALL | re.IGNORECASE)),
    Operator.STARTS_WITH: lambda value, start: value.startswith(start),
}


def _regex(pattern: str) -> str:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    known = {"%": ".*", "_": "."}
    return "".join(re.escape(part[1]) if part[0] == "\\" else known.get(part, re.escape(part)) for part in parts)


class Oracle:
    """Rows of the tables, by their name, with values as Python has them."""

    def __init__(self, tables: Mapping[str, list[Row]]) -> None:
        self._tables = tables

    def rows(self, source: Source, expression: Expression | None = None) -> list[Row]:
        """The rows of ``source`` that are in the filter."""
        return [row for row in self._tables[source.name] if self.matches(expression, row)]

    def matches(self, expression: Expression | None, row: Row) -> bool:
        """Whether ``row`` is in the filter."""
        match expression:
            case None:
                return True
            case All(parts):
                return all(self.matches(part, row) for part in parts)
            case Either(parts):
                return any(self.matches(part, row) for part in parts)
            case Opposite(part):
                return not self.matches(part, row)
            case Compare(column, operator, operand):
                return _compare(row[column], operator, operand)
            case Related(join, quantifier, part):
                there = [
                    self.matches(part, other)
                    for other in self._tables[join.target.name]
                    if all(other[remote] == row[local] for local, remote in join.on)
                ]
                return {Quantifier.SOME: any(there), Quantifier.EVERY: all(there), Quantifier.NONE: not any(there)}[
                    quantifier
                ]
            case Near():
                raise NotImplementedError


def _compare(value: Any, operator: Operator, operand: Any) -> bool:
    match operator:
        case Operator.IS_NULL:
            return (value is None) is operand
        case Operator.NE:
            return bool(value != operand)
        case Operator.NOT_IN:
            return value not in operand
    return value is not None and _OPERATORS[operator](value, operand)


def in_order(keys: tuple[OrderKey, ...], rows: list[Row]) -> list[Row]:
    """``rows`` as ``keys`` order them."""

    def compare(one: Row, other: Row) -> int:
        for key in keys:
            a, b = one[key.column], other[key.column]
            if a == b:
                continue
            if a is None or b is None:
                return -1 if (a is None) is key.nulls_first else 1
            return -1 if (a < b) is not key.descending else 1
        return 0

    return sorted(rows, key=cmp_to_key(compare))


def parsed(source: Source, row: Row) -> Row:
    """``row`` (JSON forms) with values as Python has them; what has no such form stays."""
    return {
        name: value if isinstance(value, dict) else from_json(source.column(name).type, value)
        for name, value in row.items()
    }
