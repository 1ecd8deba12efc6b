"""Which rows belong to a row: those that a join finds by equal values, or by their distance."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, select

from lakefront.db.query.expression import Place, within
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
        equal = (own.c[theirs] == value for value, (_, theirs) in zip(values, here.on, strict=True))
        conditions += [mine(here.source, own), *equal]
        centre = _place(here, own)
    else:
        latitude, longitude = values
        centre = latitude, longitude
    near = select(points.c[dict(there.on).get(key, key)])
    near = near.where(*conditions, within(_place(there, points), centre, around.meters))
    return rows.c[key].in_(near.correlate_except(*found))


def _place(points: Points, rows: FromClause) -> Place:
    return rows.c[points.latitude], rows.c[points.longitude]
