"""From parts to SQL: one expression that makes the JSON of whole root fields in PostgreSQL.

Names that must not meet a client's aliases begin with ``#``, which GraphQL cannot spell. Rows come from ``db.query``'s
pages, so that filters, orders and cursors mean here what they mean to the resolvers.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import strawberry
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    String,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import array
from strawberry.types.enum import StrawberryEnumDefinition

from lakefront.actor import Actor
from lakefront.db.query import (
    Expression,
    GroupRequest,
    Join,
    OrderKey,
    PageRequest,
    Source,
    count_groups,
    groups,
    key_parents,
    page_rows,
    where,
)
from lakefront.db.query.values import operand
from lakefront.domain.reads import check
from lakefront.graphql.declare.cursors import fingerprint
from lakefront.graphql.plan.parts import (
    Edges,
    Fields,
    Groups,
    Info,
    Inner,
    Node,
    Nodes,
    One,
    Opaque,
    Pages,
    Part,
    Related,
    Scalar,
    Total,
    Typename,
)
from lakefront.graphql.plan.pick import NotCompiled
from lakefront.graphql.scalars import BigInt

_EMPTY: Final = literal_column("'[]'::json", JSON)
_NUMBER, _TOTAL, _CURSOR = "#number", "#total", "#cursor"

Labelled = list[ColumnElement[Any]]


class Writer:
    """Writes one operation's statement for requests of one shape; ``requests`` are skeletons, in the order of asks."""

    def __init__(self, actor: Actor, requests: Sequence[Any]) -> None:
        """``actor`` tells which sources are confined to a subject; tenant and subject themselves are parameters."""
        self._actor = actor
        self._requests = requests
        self._names = 0
        self._touched: list[Source] = []

    @property
    def owned(self) -> bool:
        """Whether the statement reads rows of the actor's own; raises ``NotCompiled`` where it reads others, too.

        Row security holds every table that has an owner to the subject, once one is set.
        """
        having = [source for source in self._touched if source.owner is not None]
        own = [source.row_scope(self._actor) is not None for source in having]
        if any(own) and not all(own):
            raise NotCompiled("it reads rows of the actor's own and rows of all")
        return any(own)

    def _reads(self, what: Source | Join, condition: Expression | None = None, columns: Iterable[str] = ()) -> None:
        self._touched += check(self._actor, what, condition, columns)

    def values(self, parts: Iterable[Part]) -> ColumnElement[Any]:
        """The JSON values of root fields, as an array."""
        return array([self._value(part, None) for part in parts], type_=JSON)

    def batch(self, part: One | Node) -> ColumnElement[Any]:
        """The JSON values of the root field ``part`` for each key of the arrays ``keys0 …``, in their order."""
        source, fields = self._wanted(part)
        self._reads(source)
        parents = key_parents(source)
        rows = source.table.alias(self._name())
        belongs = and_(*(rows.c[name] == parents.c[f"key{index}"] for index, name in enumerate(source.key)))
        one = self._row(source, rows, fields, belongs, parents)
        return func.array(select(one).select_from(parents).order_by(parents.c.ordinal).scalar_subquery())

    def _name(self) -> str:
        self._names += 1
        return f"#{self._names}"

    def _value_of(self, row: Select[Any]) -> ColumnElement[Any]:
        """The only row of ``row`` as JSON."""
        found = row.subquery(self._name())
        return select(_json_of(found)).select_from(found).scalar_subquery()

    def _labelled(self, fields: Fields, rows: FromClause | None) -> Labelled:
        return [self._value(part, rows).label(key) for key, part in fields]

    def _value(self, part: Part, rows: Any) -> ColumnElement[Any]:
        match part:
            case Scalar(column, leaf):
                # A group has only the columns that it was grouped by.
                return text_form(rows.c[column], leaf) if column in rows.c else null()
            case Typename(name):
                return _constant(name)
            case Opaque(source):
                return opaque([_constant(source.name), *(rows.c[name] for name in source.key)])
            case Inner():
                return self._inner(part, rows)
            case Related():
                return self._related(part, rows)
            case Pages():
                return self._pages(part, rows)
            case One() | Node():
                source, fields = self._wanted(part)
                self._reads(source)
                key = self._requests[part.ask][-1]
                there = source.table.alias(self._name())
                belongs = and_(
                    *(
                        there.c[name] == operand(there.c[name], value)
                        for name, value in zip(source.key, key, strict=True)
                    )
                )
                return self._row(source, there, fields, belongs, None)
            case Groups():
                return self._groups(part)

    def _wanted(self, part: One | Node) -> tuple[Source, Fields]:
        if isinstance(part, One):
            return part.source, part.fields
        record = self._requests[part.ask][0]
        fields = part.fields.get(record)
        if fields is None or isinstance(fields, str):
            raise NotCompiled(fields or "it is of another type")
        return record.record_source, fields

    def _object(self, fields: Fields, rows: FromClause) -> ColumnElement[Any]:
        return func.json_build_object(
            *(value for key, part in fields for value in (_constant(key), self._value(part, rows)))
        )

    def _inner(self, part: Inner, rows: FromClause) -> ColumnElement[Any]:
        made = self._object(part.fields, rows)
        if not part.some:
            return made
        known = or_(*(rows.c[name].is_not(None) for name in part.some))
        return case((and_(known, *(rows.c[name].is_not(None) for name in part.required)), made), else_=null())

    def _row(
        self, source: Source, rows: FromClause, fields: Fields, belongs: ColumnElement[bool], parent: FromClause | None
    ) -> ColumnElement[Any]:
        found = select(*self._labelled(fields, rows)).where(source.rows_of(self._actor, rows), belongs)
        return self._value_of(found.correlate(parent))

    def _related(self, part: Related, rows: FromClause) -> ColumnElement[Any]:
        self._reads(part.join)
        target, there = part.join.target, part.join.target.table.alias(self._name())
        found = (
            select(*self._labelled(part.fields, there))
            .where(target.rows_of(self._actor, there), _joined(part.join, rows, there))
            .order_by(*(key.clause(there) for key in target.complete()))
            .correlate(rows)
        )
        if not part.many:
            return self._value_of(found.limit(literal_column("1")))
        listed = found.subquery(self._name())
        return select(func.coalesce(func.json_agg(_json_of(listed)), _EMPTY)).select_from(listed).scalar_subquery()

    def _pages(self, part: Pages, rows: FromClause | None) -> ColumnElement[Any]:
        request: PageRequest = self._requests[part.ask]
        self._reads(part.join or part.source, request.where, request.columns())
        page = _Page(self, part, request, rows)
        members = [(key, page.member(member)) for key, member in part.members]
        return page.joined(
            func.json_build_object(*(part for key, value in members for part in (_constant(key), value)))
        )

    def rows_of_page(
        self, part: Pages, request: PageRequest, rows: FromClause | None, columns: Sequence[str], *, peek: bool
    ) -> FromClause:
        """The page's rows in their order."""
        belongs = None if part.join is None or rows is None else partial(_joined, part.join, rows)
        read = page_rows(
            part.source, self._actor, request, belongs=belongs, parent=rows, columns=columns, peek=peek
        ).subquery(self._name())
        if not request.backward:
            return read
        return select(*read.c).order_by(*(key.clause(read) for key in request.order)).subquery(self._name())

    def count(self, part: Pages, request: PageRequest, rows: FromClause | None) -> ColumnElement[Any]:
        """How many rows there are on all pages."""
        there = part.source.table.alias(self._name())
        counted = select(func.count()).select_from(there)
        counted = counted.where(part.source.rows_of(self._actor, there), where(request.where, there, self._actor))
        if part.join is not None and rows is not None:
            counted = counted.where(_joined(part.join, rows, there)).correlate(rows)
        return counted.scalar_subquery()

    def lateral(self, fields: Fields, rows: FromClause) -> FromClause:
        """``fields`` of each of ``rows``, to be joined with them."""
        return select(*self._labelled(fields, rows)).correlate(rows).lateral(self._name())

    def name(self) -> str:
        """A name that no client's alias can be."""
        return self._name()

    def _groups(self, part: Groups) -> ColumnElement[Any]:
        request: GroupRequest = self._requests[part.ask]
        self._reads(part.source, request.where, request.columns())
        values: list[Any] = []
        for key, member in part.members:
            if member is None:
                counted = count_groups(part.source, self._actor, request)
                value: ColumnElement[Any] = counted.scalar_subquery()
            elif isinstance(member, Typename):
                value = _constant(member.name)
            else:
                found = groups(part.source, self._actor, request).subquery(self._name())
                listed = select(*self._labelled(member, found)).select_from(found).subquery(self._name())
                value = (
                    select(func.coalesce(func.json_agg(_json_of(listed)), _EMPTY)).select_from(listed).scalar_subquery()
                )
            values += [_constant(key), value]
        return func.json_build_object(*values)


class _Page:
    """One connection: what its members need of the page's rows, and how they are gathered from them."""

    def __init__(self, writer: Writer, part: Pages, request: PageRequest, rows: FromClause | None) -> None:
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
        more: Labelled = []
        if self._cursors:
            more.append(_cursor(self._part.source, self._request.order, page).label(_CURSOR))
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
                return _constant(name)
            case Total():
                return self._writer.count(self._part, self._request, self._parent)
            case Nodes(fields):
                return self._listed(self._node(fields))
            case Edges(members):
                return self._listed(
                    func.json_build_object(
                        *(value for key, inner in members for value in (_constant(key), self._of_edge(inner)))
                    )
                )
            case Info(members):
                return func.json_build_object(
                    *(value for key, name in members for value in (_constant(key), self._info(name)))
                )

    def _of_edge(self, member: Fields | Typename | None) -> ColumnElement[Any]:
        if member is None:
            return self._rows.c[_CURSOR]
        return _constant(member.name) if isinstance(member, Typename) else self._node(member)

    def _node(self, fields: Fields) -> ColumnElement[Any]:
        nodes = self._writer.lateral(fields, self._rows)
        self._from = self._from.join(nodes, true())
        return _json_of(nodes)

    def _listed(self, item: ColumnElement[Any]) -> ColumnElement[Any]:
        found: Any = func.json_agg(item)
        if self._peek:
            found = found.filter(self._kept())
        return func.coalesce(found, _EMPTY)

    def _kept(self) -> ColumnElement[bool]:
        number, total = self._rows.c[_NUMBER], self._rows.c[_TOTAL]
        return number > total - self._limit() if self._request.backward else number <= self._limit()

    def _limit(self) -> ColumnElement[Any]:
        return bindparam(f"limit{self._part.ask}", self._request.limit, BigInteger)

    def _info(self, name: str) -> ColumnElement[Any]:
        request = self._request
        match name:
            case "__typename":
                return _constant("PageInfo")
            case "hasNextPage" if request.before is not None:
                return true()
            case "hasPreviousPage" if request.after is not None:
                return true()
            case "hasNextPage":
                return self._more() if not request.backward else literal_column("false")
            case "hasPreviousPage":
                return self._more() if request.backward else literal_column("false")
            case "startCursor":
                return self._edge(first=True)
            case _:
                return self._edge(first=False)

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


def text_form(column: ColumnElement[Any], leaf: Any) -> ColumnElement[Any]:
    """The value of ``column`` as GraphQL's ``leaf`` type writes it in JSON (DESIGN.md, "Texts")."""
    if isinstance(leaf, StrawberryEnumDefinition):
        return case({value.value: value.name for value in leaf.values}, value=column)
    if leaf is BigInt or (leaf in (str, strawberry.ID) and not isinstance(column.type, String)):
        return cast(column, Text)
    return column


def opaque(parts: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """``cursors.encode`` in SQL."""
    text = cast(func.json_build_array(*parts), Text)
    return func.translate(
        func.encode(func.convert_to(text, literal_column("'UTF8'")), literal_column("'base64'")),
        literal_column("E'+/=\\n'"),
        literal_column("'-_'"),
    )


def _cursor(source: Source, order: Sequence[OrderKey], rows: FromClause) -> ColumnElement[Any]:
    mark: ColumnElement[Any] = literal_column(f"'{fingerprint(source, order)}'::text")  # hexadecimal digits
    return opaque([mark, *(rows.c[key.column] for key in order)])


def _constant(name: str) -> ColumnElement[Any]:
    return literal_column(f"'{name}'::text")  # a name of GraphQL: letters, digits, underscores


def _json_of(rows: Any) -> ColumnElement[Any]:
    return func.row_to_json(literal_column(f'"{rows.name}"'), type_=JSON)


def _joined(join: Join, rows: FromClause, there: FromClause) -> ColumnElement[bool]:
    return and_(*(there.c[remote] == rows.c[local] for local, remote in join.on))


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
