"""Which rows belong to a row: those that a join finds by equal values, or by their distance."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, func, select

from lakefront.db.query.expression import Place, band_of, within
from lakefront.db.query.source import Around, Join, Points, Source

Mine = Callable[[Source, FromClause], ColumnElement[bool]]
"""The condition under which a row of a source is one that the actor sees."""


def belongs(join: Join, values: Sequence[ColumnElement[Any]], rows: FromClause, mine: Mine) -> ColumnElement[bool]:
    """The condition on ``rows`` of the target; ``values`` are those of the row's columns ``join.local``."""
    if join.around is not None:
        return _around(join.target, join.around, values, rows, mine)
    return and_(*(rows.c[remote] == value for value, remote in zip(values, join.remote, strict=True)))


def _around(
    target: Source, around: Around, values: Sequence[ColumnElement[Any]], rows: FromClause, mine: Mine
) -> ColumnElement[bool]:
    """The row's key is among those of the points near by: in this form an index on their latitude serves."""
    (key,) = target.key
    here, there = around.here, around.there
    points = there.source.rows()
    found, conditions = [points], [mine(there.source, points)]
    if here.on:
        own = here.source.rows()
        found.append(own)
        conditions += [*_theirs(here, values, own, mine), _in_band(here, there, values, points, mine, around.meters)]
        centre = _place(here, own)
    else:
        latitude, longitude = values
        centre = latitude, longitude
    near = select(points.c[dict(there.on).get(key, key)])
    near = near.where(*conditions, within(_place(there, points), centre, around.meters))
    return rows.c[key].in_(near.correlate_except(*found))


def _theirs(
    here: Points, values: Sequence[ColumnElement[Any]], own: FromClause, mine: Mine
) -> Iterator[ColumnElement[bool]]:
    """The conditions under which a row of ``own`` has a point of the row that has ``values``."""
    yield mine(here.source, own)
    for value, (_, theirs) in zip(values, here.on, strict=True):
        yield own.c[theirs] == value


def _in_band(
    here: Points, there: Points, values: Sequence[ColumnElement[Any]], points: FromClause, mine: Mine, meters: float
) -> ColumnElement[bool]:
    """Whether the point lies between the least and the greatest latitude that is near enough.

    It follows from being near one of them. Said so, PostgreSQL takes it for a narrow range, and takes the index; of a
    range around the columns of a joined row it expects a ninth of the table.
    """
    own = here.source.rows()
    latitude = own.c[here.latitude]
    edges = (
        select(edge).where(*_theirs(here, values, own, mine)).correlate_except(own).scalar_subquery()
        for edge in (func.min(latitude), func.max(latitude))
    )
    least, greatest = edges
    band = band_of(meters)
    return and_(points.c[there.latitude] >= least - band, points.c[there.latitude] <= greatest + band)


def _place(points: Points, rows: FromClause) -> Place:
    return rows.c[points.latitude], rows.c[points.longitude]
