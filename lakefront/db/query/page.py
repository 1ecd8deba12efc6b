"""Pages: of a source, or one for each of many parents in a single statement. No OFFSET anywhere."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    column,
    func,
    literal,
    literal_column,
    select,
    true,
    union_all,
)

from lakefront.actor import Actor
from lakefront.db.query.belonging import Mine, belongs
from lakefront.db.query.expression import Expression, where
from lakefront.db.query.order import OrderKey, Position, after, everything, reverse, segments
from lakefront.db.query.source import QUERY_SUBJECT, QUERY_TENANT, Join, Key, Source, by_key
from lakefront.db.query.values import operand_type
from lakefront.db.statement import SUBJECT, TENANT, Statement, Template, template_as_tenant

USUAL_LIMITS = frozenset(
    (*range(1, 13), 15, 16, 20, 24, 25, 30, 32, 40, 48, 50, 60, 64, 75, 80, 96, 100, 120, 128, 150, 200, 250, 256)
) | {300, 400, 500, 512, 1000}
"""Limits that stand in a statement's text. Of one that is a parameter PostgreSQL thinks so much less than of one that
it sees that it plans the statement anew for each execution: a third of what a list of a hundred rows takes."""

PARENT = "#parent"
"""The column that says to which of the given keys a row belongs, from 1 on; no column of ours can have this name."""
_BRANCH = "#branch"
Belongs = Callable[[FromClause], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most ``limit`` rows of ``order`` (total: see ``Source.complete``) between ``after`` and ``before``, exclusive.

    ``backward`` takes the last rows instead of the first; rows come in reading direction, so backwards from the end.
    """

    order: tuple[OrderKey, ...]
    limit: int
    where: Expression | None = None
    backward: bool = False
    after: Position | None = None
    before: Position | None = None
    meters: float | None = None
    """How far away rows may be, of a join by distance."""

    def columns(self) -> Iterator[str]:
        """The columns whose values the page depends on, besides the filter's."""
        return (key.column for key in self.order)


def page(source: Source, actor: Actor, request: PageRequest) -> Select[Any]:
    """One row more than asked, to know whether there are more."""
    return page_rows(source, actor, request)


def pages_per_parent(join: Join, actor: Actor, request: PageRequest, keys: Sequence[Key]) -> Select[Any]:
    """A page of related rows for each key, each one row more than asked; ``PARENT`` tells them apart."""
    parents = _parents(join, keys)
    belonging = partial(_belongs, join, parents, partial(_seen_by, actor))
    rows = page_rows(join.target, actor, request, belonging=belonging, parent=parents).lateral("page")
    ordinal = parents.c.ordinal
    keys_in_order = reverse(request.order) if request.backward else request.order
    return (
        select(ordinal.label(PARENT), *rows.c)
        .select_from(parents.join(rows, true()))
        .order_by(ordinal, *(key.clause(rows) for key in keys_in_order))
    )


def related(join: Join, actor: Actor, keys: Sequence[Key]) -> Statement:
    """All related rows of each key, in the target's default order; ``PARENT`` tells them apart.

    Compiled once for each join: a subscription asks it for every event, and compiling took most of an event's time.
    """
    values: dict[str, Any] = key_arrays(keys)
    subject = join.target.row_scope(actor)
    values |= {TENANT: actor.tenant, QUERY_TENANT: actor.tenant, SUBJECT: subject, QUERY_SUBJECT: subject}
    return _related(join, owned=subject is not None).bind(values)


@lru_cache(maxsize=1000)
def _related(join: Join, *, owned: bool) -> Template:
    target = join.target
    parents, rows = _parents(join, ()), target.rows()
    ordinal, mine = parents.c.ordinal, target.rows_within("", "" if owned else None, rows)
    assert join.around is None, "rows at a distance come in pages"
    return template_as_tenant(
        select(ordinal.label(PARENT), *(rows.c[name] for name in target.columns()))
        .select_from(parents.join(rows, and_(_belongs(join, parents, _unseen, rows), mine)))
        .order_by(ordinal, *(key.clause(rows) for key in target.complete())),
        owned=owned,
    )


def count(source: Source, actor: Actor, condition: Expression | None) -> Select[Any]:
    """How many rows there are: one row with ``count``."""
    rows = source.rows()
    mine = source.rows_of(actor, rows)
    return select(func.count().label("count")).select_from(rows).where(mine, where(condition, rows, actor))


def counts_per_parent(join: Join, actor: Actor, condition: Expression | None, keys: Sequence[Key]) -> Select[Any]:
    """How many related rows each key has: one row each with ``PARENT`` and ``count``."""
    target = join.target
    parents, rows = _parents(join, keys), target.rows()
    found = select(func.count().label("count")).select_from(rows)
    belonging = _belongs(join, parents, partial(_seen_by, actor), rows)
    found = found.where(target.rows_of(actor, rows), belonging, where(condition, rows, actor))
    counted = found.lateral("counted")
    return select(parents.c.ordinal.label(PARENT), counted.c.count).select_from(parents.join(counted, true()))


def page_rows(
    source: Source,
    actor: Actor,
    request: PageRequest,
    *,
    belonging: Belongs | None = None,
    parent: FromClause | None = None,
    columns: Sequence[str] | None = None,
    peek: bool = True,
) -> Select[Any]:
    """The rows of a page as they are read, backwards where the request is, with ``columns`` (all unless given).

    ``belonging`` restricts them to those of a parent, a row of ``parent`` where that stands around the statement;
    ``peek`` reads one more than asked, to know whether there are more.
    """
    names = source.columns() if columns is None else columns
    keys, start, end = request.order, request.after, request.before
    if request.backward:
        keys, start, end = reverse(keys), end, start
    rows = source.rows()
    ranges = segments(keys, rows, start) if start is not None else everything()
    conditions = [source.rows_of(actor, rows), where(request.where, rows, actor)]
    if belonging is not None:
        conditions.append(belonging(rows))
    if end is not None:
        conditions.append(after(reverse(keys), rows, end))
    limit = row_limit(request.limit, more=1 if peek else 0)
    parts = [
        select(*(rows.c[name] for name in names))
        .where(*conditions, within)
        .order_by(*(key.clause(rows) for key in keys))
        .limit(limit)
        .correlate(parent)
        for within in ranges
    ]
    return parts[0] if len(parts) == 1 else _chain(parts, names, keys, limit)


def row_limit(limit: int, *, more: int = 0) -> ColumnElement[int]:
    """``limit`` and so many ``more``: as text if it is a usual one, else as a parameter."""
    if limit in USUAL_LIMITS:
        return literal_column(str(limit + more), BigInteger)
    value = literal(limit, BigInteger)
    return value + literal_column(str(more)) if more else value


def _chain(
    parts: list[Select[Any]], names: Sequence[str], keys: Sequence[OrderKey], limit: ColumnElement[int]
) -> Select[Any]:
    """The ranges one after the other; each is bounded, so that the sort above them is small."""
    branches = [part.subquery() for part in parts]
    numbered = [
        select(literal_column(str(number), Integer).label(_BRANCH), *branch.c) for number, branch in enumerate(branches)
    ]
    whole = union_all(*numbered).subquery()
    return (
        select(*(whole.c[name] for name in names))
        .order_by(whole.c[_BRANCH], *(key.clause(whole) for key in keys))
        .limit(limit)
    )


def key_parents(source: Source) -> FromClause:
    """A row for each key of ``source``: ``key0 …`` and ``ordinal``, from arrays that are bound to ``keys0 …``."""
    return _parents(by_key(source), ())


def link_parents(join: Join) -> FromClause:
    """A row for each row from which ``join`` leads: its own columns by their names, and ``ordinal``; bound alike."""
    return _parents(join, (), join.local)


def key_arrays(keys: Iterable[Key]) -> dict[str, list[Any]]:
    """What is bound to ``keys0 …``: of each column of the key, the values of all ``keys``."""
    return {f"keys{place}": list(values) for place, values in enumerate(zip(*keys, strict=True))}


def _parents(join: Join, keys: Sequence[Key], called: Sequence[str] | None = None) -> FromClause:
    """``unnest($1, …) WITH ORDINALITY``: one array for each column of the key, ``called`` ``key0 …`` unless given."""
    columns = join.values
    arrays = [
        bindparam(f"keys{index}", [key[index] for key in keys], ARRAY(operand_type(part)))
        for index, part in enumerate(columns)
    ]
    called = called or [f"key{index}" for index in range(len(columns))]
    names = [column(name, operand_type(part)) for name, part in zip(called, columns, strict=True)]
    return func.unnest(*arrays).table_valued(*names, with_ordinality="ordinal").render_derived(name="parents")


def _belongs(join: Join, parents: FromClause, mine: Mine, rows: FromClause) -> ColumnElement[bool]:
    return belongs(join, [parents.c[f"key{index}"] for index in range(len(join.local))], rows, mine)


def _seen_by(actor: Actor, source: Source, rows: FromClause) -> ColumnElement[bool]:
    return source.rows_of(actor, rows)


def _unseen(_source: Source, _rows: FromClause) -> ColumnElement[bool]:
    return true()
