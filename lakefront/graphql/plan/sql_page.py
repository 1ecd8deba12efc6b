"""One connection in SQL: what its members need of the page's rows, and how they are gathered from them."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, FromClause, and_, func, literal_column, select, true

from lakefront.db.query import Join, PageRequest, row_limit
from lakefront.graphql.plan.parts import (
    Edges,
    Fields,
    Info,
    Inner,
    Nodes,
    Opaque,
    Pages,
    Related,
    Scalar,
    Total,
    Typename,
)
from lakefront.graphql.plan.sql_text import EMPTY, constant, cursor, json_of, row_of

_NUMBER: Final = "#number"
_TOTAL: Final = "#total"
_CURSOR: Final = "#cursor"


class Rows(Protocol):
    """What a page needs of the statement that it is a part of."""

    def name(self) -> str:
        """A name that no client's alias can be."""

    def rows_of_page(
        self, part: Pages, request: PageRequest, rows: FromClause | None, columns: Sequence[str], *, peek: bool
    ) -> FromClause:
        """The page's rows in their order."""

    def count(self, part: Pages, request: PageRequest, rows: FromClause | None) -> ColumnElement[Any]:
        """How many rows there are on all pages."""

    def lateral(self, fields: Fields, rows: FromClause) -> FromClause:
        """``fields`` of each of ``rows``, to be joined with them."""


class PageWriter:
    """One connection: what its members need of the page's rows, and how they are gathered from them."""

    def __init__(self, writer: Rows, part: Pages, request: PageRequest, rows: FromClause | None) -> None:
        self._writer, self._part, self._request, self._parent = writer, part, request, rows
        infos = {name for _, member in part.members if isinstance(member, Info) for _, name in member.members}
        self._peek = bool(infos & {"hasNextPage", "hasPreviousPage"})
        edges = any(isinstance(member, Edges) for _, member in part.members)
        self._numbered = bool(infos - {"__typename"})
        self._cursors = edges or bool(infos & {"startCursor", "endCursor"})
        self._reading = edges or self._numbered or any(isinstance(member, Nodes) for _, member in part.members)
        if self._reading:
            self._rows = self._read()
            self._from: FromClause = self._rows

    def _read(self) -> FromClause:
        columns = list(dict.fromkeys([*_columns(self._part), *(key.column for key in self._request.order)]))
        page = self._writer.rows_of_page(self._part, self._request, self._parent, columns, peek=self._peek)
        more: list[ColumnElement[Any]] = []
        if self._cursors:
            more.append(cursor(self._part.source, self._request.order, page).label(_CURSOR))
        if self._numbered:
            more += [func.row_number().over().label(_NUMBER), func.count().over().label(_TOTAL)]
        return select(*page.c, *more).subquery(self._writer.name()) if more else page

    def joined(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """``value``, made of aggregates over the rows, as a subquery."""
        if not self._reading:
            return value
        # HAVING makes it one row of aggregates, also where all that is selected of the page is constant.
        return select(value).select_from(self._from).having(literal_column("true")).scalar_subquery()

    def member(self, member: Edges | Nodes | Info | Total | Typename) -> ColumnElement[Any]:
        """The value of a member of the connection."""
        match member:
            case Typename(name):
                return constant(name)
            case Total():
                return self._writer.count(self._part, self._request, self._parent)
            case Nodes(fields):
                return self._listed(row_of(self._node(fields)))
            case Edges(members):
                return self._listed(
                    func.json_build_object(
                        *(value for key, inner in members for value in (constant(key), self._of_edge(inner)))
                    )
                )
            case Info(members):
                return func.json_build_object(
                    *(value for key, name in members for value in (constant(key), self._info(name)))
                )

    def _of_edge(self, member: Fields | Typename | None) -> ColumnElement[Any]:
        if member is None:
            return self._rows.c[_CURSOR]
        return constant(member.name) if isinstance(member, Typename) else json_of(self._node(member))

    def _node(self, fields: Fields) -> FromClause:
        nodes = self._writer.lateral(fields, self._rows)
        self._from = self._from.join(nodes, true())
        return nodes

    def _listed(self, item: ColumnElement[Any]) -> ColumnElement[Any]:
        found: Any = func.json_agg(item)
        if self._peek:
            found = found.filter(self._kept())
        return func.coalesce(found, EMPTY)

    def _kept(self) -> ColumnElement[bool]:
        number, total = self._rows.c[_NUMBER], self._rows.c[_TOTAL]
        return number > total - self._limit() if self._request.backward else number <= self._limit()

    def _limit(self) -> ColumnElement[Any]:
        return row_limit(self._request.limit)

    def _info(self, name: str) -> ColumnElement[Any]:
        request = self._request
        value: ColumnElement[Any] = literal_column("false")
        back = name == "hasPreviousPage"
        match name:
            case "__typename":
                value = constant("PageInfo")
            case "hasNextPage" | "hasPreviousPage":
                if (request.after if back else request.before) is not None:
                    value = true()
                elif request.backward is back:
                    value = self._more()
            case _:
                value = self._edge(first=name == "startCursor")
        return value

    def _more(self) -> ColumnElement[bool]:
        return func.coalesce(func.bool_or(self._rows.c[_TOTAL] > self._limit()), literal_column("false"))

    def _edge(self, *, first: bool) -> ColumnElement[Any]:
        number, total = self._rows.c[_NUMBER], self._rows.c[_TOTAL]
        if first:
            place: Any = (
                func.greatest(total - self._limit(), literal_column("0")) + literal_column("1")
                if self._request.backward
                else literal_column("1")
            )
        else:
            place = total if self._request.backward else func.least(total, self._limit())
        return func.max(self._rows.c[_CURSOR]).filter(and_(number == place, self._kept()))


def _columns(part: Pages) -> Iterator[str]:
    """The columns that the page's rows need for what is selected of them."""
    for _, member in part.members:
        if isinstance(member, Nodes):
            yield from _needed(member.fields)
        elif isinstance(member, Edges):
            for _, inner in member.members:
                if isinstance(inner, tuple):
                    yield from _needed(inner)


def _needed(fields: Fields) -> Iterator[str]:
    for _, part in fields:
        match part:
            case Scalar(column):
                yield column
            case Opaque(source):
                yield from source.key
            case Inner(inner, some, required):
                yield from (*some, *required, *_needed(inner))
            case Related(join) | Pages(join=Join() as join):
                yield from join.local
