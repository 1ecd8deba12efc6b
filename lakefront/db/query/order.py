"""Orders: keys with a direction and a place for nulls, and the conditions by which a page goes on after a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, FromClause, UnaryExpression, and_, false, or_, true

from lakefront.db.query.values import operand


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One column to order by. ``nullable`` keeps conditions short where no null can be."""

    column: str
    descending: bool = False
    nulls_first: bool = False
    nullable: bool = True

    def reverse(self) -> "OrderKey":
        """The key read from the other end."""
        return replace(self, descending=not self.descending, nulls_first=not self.nulls_first)

    def clause(self, rows: FromClause) -> UnaryExpression[Any]:
        """For ORDER BY. The place of nulls is said only where it is not PostgreSQL's default, which indexes have."""
        column = rows.c[self.column]
        ordered = column.desc() if self.descending else column.asc()
        if not self.nullable or self.nulls_first == self.descending:
            return ordered
        return ordered.nulls_first() if self.nulls_first else ordered.nulls_last()

    def beyond(self, rows: FromClause, value: Any) -> ColumnElement[bool]:
        """Rows whose value comes strictly after ``value`` (``None``: null) in this key."""
        column = rows.c[self.column]
        if value is None:
            return column.is_not(None) if self.nulls_first else false()
        limit = operand(column, value)
        further = column < limit if self.descending else column > limit
        return or_(further, column.is_(None)) if self.nullable and not self.nulls_first else further

    def same(self, rows: FromClause, value: Any) -> ColumnElement[bool]:
        """Rows that have exactly ``value``."""
        column = rows.c[self.column]
        return column.is_(None) if value is None else column == operand(column, value)

    def bound(self, rows: FromClause, value: Any) -> ColumnElement[bool]:
        """Rows at or after ``value``, nulls aside: the range that an index scan starts from."""
        column = rows.c[self.column]
        limit = operand(column, value)
        return column <= limit if self.descending else column >= limit


Position = tuple[Any, ...]
"""The values of a row in an order's keys: where a page begins or ends."""


def reverse(keys: Sequence[OrderKey]) -> tuple[OrderKey, ...]:
    """The same order from its other end."""
    return tuple(key.reverse() for key in keys)


def after(keys: Sequence[OrderKey], rows: FromClause, position: Position) -> ColumnElement[bool]:
    """Rows that come strictly after ``position``: ``a > $a or a = $a and (b > $b or …)``."""
    (key, *rest), (value, *values) = keys, position
    beyond = key.beyond(rows, value)
    if not rest:
        return beyond
    return or_(beyond, and_(key.same(rows, value), after(rest, rows, tuple(values))))


def segments(keys: Sequence[OrderKey], rows: FromClause, position: Position) -> list[ColumnElement[bool]]:
    """The same rows as ``after``, as one or two ranges of the leading key, in order, each of which an index can serve.

    ``k >= $k and (k > $k or …)`` is a range; ``or k is null`` is not, and costs 20 to 40 times as much (DESIGN.md), so
    that a nullable leading key gives two ranges: nulls apart from values.
    """
    (key, *rest), (value, *values) = keys, position
    within = after(rest, rows, tuple(values)) if rest else false()
    if value is None:
        ties = and_(key.same(rows, None), within)
        return [ties, key.beyond(rows, None)] if key.nulls_first else [ties]
    further = replace(key, nullable=False).beyond(rows, value)
    ahead = and_(key.bound(rows, value), or_(further, within)) if rest else further
    if key.nullable and not key.nulls_first:
        return [ahead, rows.c[key.column].is_(None)]
    return [ahead]


def everything() -> list[ColumnElement[bool]]:
    """The one range of an order that is read from its start."""
    return [true()]
