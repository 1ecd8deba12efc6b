"""Groups and their aggregates: ``GROUP BY`` with ``HAVING``, order and limit."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Double,
    FromClause,
    Integer,
    Numeric,
    Select,
    and_,
    cast,
    func,
    literal_column,
    select,
    true,
)

from lakefront.actor import Actor
from lakefront.db.query.expression import Expression, Operator, compare, where
from lakefront.db.query.page import row_limit
from lakefront.db.query.source import Source


class Bucket(StrEnum):
    """A span of time, in UTC, by which timestamps are grouped; ``NONE`` groups by the value itself."""

    NONE = ""
    DAY = "day"
    WEEK = "week"
    """From Monday on (ISO 8601)."""
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Group:
    """Rows with the same value of ``column`` (or the same day, week, month, year of it) belong together."""

    column: str
    bucket: Bucket = Bucket.NONE

    @property
    def label(self) -> str:
        """The name of the value in an answer's row."""
        return f"key.{self.column}.{self.bucket}"


class Function(StrEnum):
    """What is computed over a group."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Measure:
    """A number over a group's rows; ``column`` is empty for ``COUNT``. Nulls do not take part."""

    function: Function
    column: str = ""

    @property
    def label(self) -> str:
        """The name of the value in an answer's row."""
        return f"{self.function}.{self.column}"


@dataclass(frozen=True, slots=True)
class GroupOrder:
    """Order groups by a part of the key or by a measure; nulls count as the greatest unless ``nulls_first`` is set."""

    by: Group | Measure
    descending: bool = False
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Having:
    """A measure compared with a value; several hold together."""

    measure: Measure
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """At most ``limit`` groups; without ``by`` all rows are one group (also when there is no row)."""

    by: tuple[Group, ...]
    measures: tuple[Measure, ...]
    limit: int
    where: Expression | None = None
    having: tuple[Having, ...] = ()
    order: tuple[GroupOrder, ...] = ()

    def columns(self) -> Iterator[str]:
        """The columns whose values the answer depends on, besides the filter's."""
        parts = [*self.by, *self.measures, *(part.measure for part in self.having), *(part.by for part in self.order)]
        return (part.column for part in parts if part.column)


def groups(source: Source, actor: Actor, request: GroupRequest) -> Select[Any]:
    """One row a group: the labels of ``by`` and ``measures``. Sums are exact, averages double precision."""
    rows, statement = _grouped(source, actor, request)
    orders = [*request.order, *(GroupOrder(group) for group in request.by)]
    wanted: list[Group | Measure] = [*request.by, *dict.fromkeys([*request.measures, Measure(Function.COUNT)])]
    computed = dict.fromkeys(part for part in (*wanted, *(order.by for order in orders)) if isinstance(part, Measure))
    # Grouped in a query of its own: PostgreSQL would else plan for the first few groups of a limit that it does not
    # know, and read the whole table in the order of the key instead of the rows that are asked for.
    inner = statement.add_columns(*(_measure(measure, rows).label(measure.label) for measure in computed)).subquery()
    outer = select(*(inner.c[part.label] for part in wanted))
    return outer.order_by(*(_order(order, inner) for order in orders)).limit(row_limit(request.limit))


def count_groups(source: Source, actor: Actor, request: GroupRequest) -> Select[Any]:
    """How many groups there are without the limit: one row with ``count``."""
    _, statement = _grouped(source, actor, request)
    inner = statement.add_columns(literal_column("1", Integer).label("#one")).subquery()
    return select(func.count().label("count")).select_from(inner)


def _grouped(source: Source, actor: Actor, request: GroupRequest) -> tuple[FromClause, Select[Any]]:
    rows = source.rows()
    keys = [_key(group, rows) for group in request.by]
    having: Iterator[ColumnElement[bool]] = (
        compare(_measure(part.measure, rows), part.operator, part.value) for part in request.having
    )
    statement = (
        select(*(key.label(group.label) for key, group in zip(keys, request.by, strict=True)))
        .select_from(rows)
        .where(source.rows_of(actor, rows), where(request.where, rows, actor))
        .having(and_(true(), *having))
    )
    return rows, statement.group_by(*keys) if keys else statement


def _key(group: Group, rows: FromClause) -> ColumnElement[Any]:
    column = rows.c[group.column]
    if group.bucket is Bucket.NONE:
        return column
    # The session's time zone is UTC; the unit is no parameter, so that SELECT and GROUP BY have the same expression.
    return cast(func.date_trunc(literal_column(f"'{group.bucket.value}'"), column), Date)


def _measure(measure: Measure, rows: FromClause) -> ColumnElement[Any]:
    if measure.function is Function.COUNT:
        return func.count()
    column = rows.c[measure.column]
    match measure.function:
        case Function.SUM:
            return cast(func.sum(column), BigInteger if isinstance(column.type, Integer) else Numeric)
        case Function.AVG:
            return cast(func.avg(column), Double)
        case Function.MIN:
            return func.min(column, type_=column.type)
        case Function.MAX:
            return func.max(column, type_=column.type)


def _order(order: GroupOrder, groups: FromClause) -> ColumnElement[Any]:
    value = groups.c[order.by.label]
    ordered = value.desc() if order.descending else value.asc()
    if order.nulls_first is None:
        return ordered
    return ordered.nulls_first() if order.nulls_first else ordered.nulls_last()
