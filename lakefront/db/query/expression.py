"""Which rows: a tree of comparisons in two-valued logic, compiled to a WHERE clause.

A comparison with a null is false, ``Opposite`` is the complement (true where its part is not true), "not equal" holds
for nulls, so that every row is either in a filter or in its ``not``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Double,
    FromClause,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    true,
)

from lakefront.actor import Actor
from lakefront.db.query.source import Join, Source
from lakefront.db.query.values import operand, operand_type

METERS_PER_DEGREE = 111_195.0
"""Of latitude, on a sphere of radius 6,371 km."""


class Operator(StrEnum):
    """How a column is compared, by the name that filters use."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    NOT_IN = "notIn"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    BETWEEN = "between"
    LIKE = "like"
    ILIKE = "ilike"
    STARTS_WITH = "startsWith"
    IS_NULL = "isNull"


class Quantifier(StrEnum):
    """How many related rows must match; ``SOME`` is the only one for a to-one relation."""

    SOME = "some"
    EVERY = "every"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Compare:
    """``column operator value``; ``value`` is hashable: a tuple for lists, (least, greatest) for ``BETWEEN``."""

    column: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part holds."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Opposite:
    """The part does not hold."""

    part: "Expression"


@dataclass(frozen=True, slots=True)
class Related:
    """Some, every or none of the related rows match ``part``; with no related row ``every`` and ``none`` hold."""

    join: Join
    quantifier: Quantifier
    part: "Expression"


@dataclass(frozen=True, slots=True)
class Near:
    """The point (columns in degrees) lies within ``meters`` of the given one, on a sphere."""

    latitude_column: str
    longitude_column: str
    latitude: float
    longitude: float
    meters: float


Expression = Compare | All | Either | Opposite | Related | Near

Place = tuple[ColumnElement[float], ColumnElement[float]]
"""Latitude and longitude, in degrees."""


def sources(expression: Expression | None) -> Iterator[Source]:
    """Every source that the expression reads besides its own."""
    match expression:
        case All(parts) | Either(parts):
            for part in parts:
                yield from sources(part)
        case Opposite(part):
            yield from sources(part)
        case Related(join, _, part):
            yield join.target
            yield from sources(part)


def scopes(expression: Expression | None, source: Source) -> Iterator[str]:
    """Every scope that an actor needs for a filter on ``source``: of other sources, of protected columns."""
    match expression:
        case Compare(column):
            yield from source.scopes_of([column])
        case All(parts) | Either(parts):
            for part in parts:
                yield from scopes(part, source)
        case Opposite(part):
            yield from scopes(part, source)
        case Related(join, _, part):
            yield from source.scopes_of(join.local)
            yield from join.scopes()
            yield from join.target.scopes_of(join.remote)
            yield from scopes(part, join.target)
        case Near(latitude, longitude):
            yield from source.scopes_of([latitude, longitude])


def where(expression: Expression | None, rows: FromClause, actor: Actor) -> ColumnElement[bool]:
    """The condition on ``rows``; no expression means all rows."""
    condition: ColumnElement[bool]
    match expression:
        case None:
            condition = true()
        case Compare(column, operator, value):
            condition = compare(rows.c[column], operator, value)
        case All(parts):
            condition = and_(true(), *(where(part, rows, actor) for part in parts))
        case Either(parts):
            condition = or_(false(), *(where(part, rows, actor) for part in parts))
        case Opposite(part):
            condition = _complement(where(part, rows, actor))
        case Related():
            condition = _related(expression, rows, actor)
        case Near():
            condition = _near(expression, rows)
        case _:
            assert_never(expression)
    return condition


def _complement(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return condition.self_group().is_not(true())


def compare(column: ColumnElement[Any], operator: Operator, value: Any) -> ColumnElement[bool]:
    """One comparison; false or null where ``column`` is null, but for ``ne``, ``notIn`` and ``isNull``."""
    if isinstance(column.type, Uuid):
        column = cast(column, Text)  # whoever asks may name any text: none is an error, and most are nobody's id
    return _COMPARISONS[operator](column, value)


def _one_of(column: ColumnElement[Any], values: tuple[Any, ...]) -> ColumnElement[bool]:
    # One array parameter: the statement's text, and so its plan, does not depend on how many there are.
    return column == any_(bindparam(None, values, ARRAY(operand_type(column)), unique=True))


def _text(value: str) -> ColumnElement[str]:
    return bindparam(None, value, Text, unique=True)


_COMPARISONS: Mapping[Operator, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    Operator.EQ: lambda column, value: column == operand(column, value),
    Operator.NE: lambda column, value: column.is_distinct_from(operand(column, value)),
    Operator.IN: _one_of,
    Operator.NOT_IN: lambda column, values: _complement(_one_of(column, values)),
    Operator.LT: lambda column, value: column < operand(column, value),
    Operator.LTE: lambda column, value: column <= operand(column, value),
    Operator.GT: lambda column, value: column > operand(column, value),
    Operator.GTE: lambda column, value: column >= operand(column, value),
    Operator.BETWEEN: lambda column, pair: and_(column >= operand(column, pair[0]), column <= operand(column, pair[1])),
    Operator.LIKE: lambda column, pattern: column.like(_text(pattern)),
    Operator.ILIKE: lambda column, pattern: column.ilike(_text(pattern)),
    Operator.STARTS_WITH: lambda column, start: func.starts_with(column, _text(start)),
    Operator.IS_NULL: lambda column, wanted: column.is_(None) if wanted else column.is_not(None),
}


def _related(expression: Related, rows: FromClause, actor: Actor) -> ColumnElement[bool]:
    join = expression.join
    there = join.target.rows()
    mine = and_(*(there.c[remote] == rows.c[local] for local, remote in join.on))
    part = where(expression.part, there, actor)
    if expression.quantifier is Quantifier.EVERY:
        part = _complement(part)
    found = exists(select(1).select_from(there).where(join.target.rows_of(actor, there), mine, part).correlate(rows))
    return found if expression.quantifier is Quantifier.SOME else not_(found)


def _near(expression: Near, rows: FromClause) -> ColumnElement[bool]:
    """The haversine distance, behind a band of latitudes that spares most rows the trigonometry."""
    point = rows.c[expression.latitude_column], rows.c[expression.longitude_column]
    return within(point, (_number(expression.latitude), _number(expression.longitude)), expression.meters)


def within(point: Place, centre: Place, meters: float) -> ColumnElement[bool]:
    """Whether ``point`` lies within ``meters`` of ``centre``; an index on its latitude serves."""
    (latitude, longitude), (here, there) = point, centre
    band = band_of(meters)
    around_latitude, around_longitude = _half_sine(latitude - here), _half_sine(longitude - there)
    haversine = around_latitude + func.cosd(here) * func.cosd(latitude) * around_longitude
    angle = func.degrees(_number(2.0) * func.asin(func.sqrt(func.least(_number(1.0), haversine))))
    return and_(latitude >= here - band, latitude <= here + band, angle <= band)


def band_of(meters: float) -> ColumnElement[float]:
    """``meters`` in degrees of latitude."""
    return _number(meters) / _number(METERS_PER_DEGREE)


def _half_sine(degrees: ColumnElement[float]) -> ColumnElement[Any]:
    # A tenth of a micrometre apart is as good as nothing, and PostgreSQL fails where a square is too small for it.
    apart = func.greatest(func.abs(degrees), _number(1e-12))
    return func.power(func.sind(apart / _number(2.0)), _number(2.0))


def _number(value: float) -> ColumnElement[float]:
    return bindparam(None, value, Double, unique=True)
