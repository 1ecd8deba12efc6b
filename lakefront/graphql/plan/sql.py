"""From parts to SQL: one expression that makes the JSON of whole root fields in PostgreSQL.

Names that must not meet a client's aliases begin with ``#``, which GraphQL cannot spell. Rows come from ``db.query``'s
pages, so that filters, orders and cursors mean here what they mean to the resolvers.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    func,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import array

from lakefront.actor import Actor
from lakefront.db.query import (
    Expression,
    GroupRequest,
    Join,
    PageRequest,
    Source,
    belongs,
    count_groups,
    groups,
    key_parents,
    link_parents,
    page_rows,
    where,
)
from lakefront.db.query.values import operand
from lakefront.domain.reads import check
from lakefront.graphql.plan.parts import (
    Fields,
    Groups,
    Inner,
    Linked,
    Node,
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
from lakefront.graphql.plan.sql_page import PageWriter
from lakefront.graphql.plan.sql_text import EMPTY, constant, json_of, never_null, opaque, row_of, text_form

Labelled = list[ColumnElement[Any]]


class Writer:
    """Writes one operation's statement for requests of one shape; ``requests`` are skeletons, in the order of asks."""

    def __init__(self, actor: Actor, requests: Sequence[Any]) -> None:
        """``actor`` tells which sources are confined to a subject; tenant and subject themselves are parameters."""
        self._actor = actor
        self._requests = requests
        self._names = 0
        self._touched: list[Source] = []
        self.path: tuple[str, ...] = ()
        """The root field that is written, of several."""

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

    def values(self, parts: Mapping[str, Part]) -> ColumnElement[Any]:
        """The JSON values of root fields, as an array."""
        values = []
        for key, part in parts.items():
            self.path = (key,)
            values.append(self._value(part, None))
        return array(values, type_=JSON)

    def spread(self, part: Pages) -> ColumnElement[Any]:
        """The JSON values of the members of the root field ``part``, as an array."""
        page = self._page(part, None)
        values = [
            func.to_json(page.member(member)) if isinstance(member, Total | Typename) else page.member(member)
            for _, member in part.members
        ]
        return page.joined(array(values, type_=JSON))

    def batch(self, part: One | Node | Linked) -> ColumnElement[Any]:
        """The JSON values of the root field ``part`` for each key of the arrays ``keys0 …``, in their order."""
        if isinstance(part, Linked):
            rows = link_parents(part.join)
            return _listed(self._value(part.part, rows), rows)
        source, fields = self._wanted(part)
        self._reads(source)
        parents = key_parents(source)
        rows = source.rows(self.name())
        belongs = and_(*(rows.c[name] == parents.c[f"key{index}"] for index, name in enumerate(source.key)))
        one = self._row(source, rows, fields, belongs, parents)
        return _listed(one, parents)

    def _value_of(self, row: Select[Any]) -> ColumnElement[Any]:
        """The only row of ``row`` as JSON."""
        found = row.subquery(self.name())
        return select(json_of(found)).select_from(found).scalar_subquery()

    def _labelled(self, fields: Fields, rows: FromClause | None) -> Labelled:
        return [self._value(part, rows).label(key) for key, part in fields]

    def _value(self, part: Part, rows: Any) -> ColumnElement[Any]:
        value: ColumnElement[Any]
        match part:
            case Scalar(column, leaf, sure):
                # A group has only the columns that it was grouped by.
                if column in rows.c:
                    value = text_form(never_null(rows.c[column]) if sure else rows.c[column], leaf)
                else:
                    value = null()
            case Typename(name):
                value = constant(name)
            case Opaque(source):
                value = opaque([constant(source.name), *(rows.c[name] for name in source.key)])
            case Inner():
                value = self._inner(part, rows)
            case Related():
                value = self._related(part, rows)
            case Pages():
                value = self._pages(part, rows)
            case One() | Node():
                value = self._one(part)
            case Groups():
                value = self._groups(part)
        return value

    def _one(self, part: One | Node) -> ColumnElement[Any]:
        source, fields = self._wanted(part)
        self._reads(source)
        key, there = self._requests[part.ask][-1], source.rows(self.name())
        pairs = zip(source.key, key, strict=True)
        belongs = and_(*(there.c[name] == operand(there.c[name], value) for name, value in pairs))
        return self._row(source, there, fields, belongs, None)

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
            *(value for key, part in fields for value in (constant(key), self._value(part, rows)))
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
        target, there = part.join.target, part.join.target.rows(self.name())
        found = (
            select(*self._labelled(part.fields, there))
            .where(target.rows_of(self._actor, there), self._joined(part.join, None, rows, there))
            .order_by(*(key.clause(there) for key in target.complete()))
            .correlate(rows)
        )
        if not part.many:
            return self._value_of(found.limit(literal_column("1")))
        listed = found.subquery(self.name())
        return select(func.coalesce(func.json_agg(row_of(listed)), EMPTY)).select_from(listed).scalar_subquery()

    def _pages(self, part: Pages, rows: FromClause | None) -> ColumnElement[Any]:
        page = self._page(part, rows)
        members = [(key, page.member(member)) for key, member in part.members]
        return page.joined(func.json_build_object(*(part for key, value in members for part in (constant(key), value))))

    def _page(self, part: Pages, rows: FromClause | None) -> PageWriter:
        request: PageRequest = self._requests[part.ask]
        self._reads(part.join or part.source, request.where, request.columns())
        return PageWriter(self, part, request, rows)

    def rows_of_page(
        self, part: Pages, request: PageRequest, rows: FromClause | None, columns: Sequence[str], *, peek: bool
    ) -> FromClause:
        """The page's rows in their order."""
        belonging = None if part.join is None or rows is None else partial(self._joined, part.join, request, rows)
        read = page_rows(
            part.source, self._actor, request, belonging=belonging, parent=rows, columns=columns, peek=peek
        ).subquery(self.name())
        if not request.backward:
            return read
        return select(*read.c).order_by(*(key.clause(read) for key in request.order)).subquery(self.name())

    def count(self, part: Pages, request: PageRequest, rows: FromClause | None) -> ColumnElement[Any]:
        """How many rows there are on all pages."""
        there = part.source.rows(self.name())
        counted = select(func.count()).select_from(there)
        counted = counted.where(part.source.rows_of(self._actor, there), where(request.where, there, self._actor))
        if part.join is not None and rows is not None:
            counted = counted.where(self._joined(part.join, request, rows, there)).correlate(rows)
        return counted.scalar_subquery()

    def _joined(
        self, join: Join, request: PageRequest | None, rows: FromClause, there: FromClause
    ) -> ColumnElement[bool]:
        """Whether a row ``there`` belongs to the one of ``rows``."""
        join = join.within(request.meters if request is not None else None)
        return belongs(join, [rows.c[name] for name in join.local], there, self._mine)

    def _mine(self, source: Source, rows: FromClause) -> ColumnElement[bool]:
        return source.rows_of(self._actor, rows)

    def lateral(self, fields: Fields, rows: FromClause) -> FromClause:
        """``fields`` of each of ``rows``, to be joined with them."""
        return select(*self._labelled(fields, rows)).correlate(rows).lateral(self.name())

    def name(self) -> str:
        """A name that no client's alias can be."""
        self._names += 1
        return f"#{self._names}"

    def _groups(self, part: Groups) -> ColumnElement[Any]:
        request: GroupRequest = self._requests[part.ask]
        self._reads(part.source, request.where, request.columns())
        values: list[Any] = []
        for key, member in part.members:
            if member is None:
                counted = count_groups(part.source, self._actor, request)
                value: ColumnElement[Any] = counted.scalar_subquery()
            elif isinstance(member, Typename):
                value = constant(member.name)
            else:
                found = groups(part.source, self._actor, request).subquery(self.name())
                listed = select(*self._labelled(member, found)).select_from(found).subquery(self.name())
                value = (
                    select(func.coalesce(func.json_agg(row_of(listed)), EMPTY)).select_from(listed).scalar_subquery()
                )
            values += [constant(key), value]
        return func.json_build_object(*values)


def _listed(value: ColumnElement[Any], parents: FromClause) -> ColumnElement[Any]:
    return func.array(select(value).select_from(parents).order_by(parents.c.ordinal).scalar_subquery())
