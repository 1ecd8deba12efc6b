"""Generic reads of a declared source: one page, a page per parent, rows by key, counts, groups.

Each takes the actor, who must hold the scope of every source that is touched and of every protected column on which the
answer depends (``Forbidden`` otherwise), and sees only rows of their own tenant; where the scope holds for own rows
alone, only those. Rows are dicts: column name -> value in PostgreSQL's JSON form.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import Select

from lakefront.actor import Actor
from lakefront.db import query
from lakefront.db.database import Row
from lakefront.db.query import PARENT, Expression, GroupRequest, Join, Key, PageRequest, Source
from lakefront.domain.services import Services


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in their order (also when read backwards), and whether there are more in the direction of reading."""

    rows: list[Row]
    more: bool


async def page(services: Services, actor: Actor, source: Source, request: PageRequest) -> Page:
    """One page of ``source``: one statement."""
    read = _allowed(services, actor, source, request.where, request.columns())
    return _cut(await read(query.page(source, actor, request)), request)


async def pages_per_parent(
    services: Services, actor: Actor, join: Join, request: PageRequest, keys: Sequence[Key]
) -> list[Page]:
    """A page of related rows for each key, in the keys' order: one statement."""
    read = _allowed(services, actor, join, request.where, request.columns())
    rows = await read(query.pages_per_parent(join, actor, request, keys))
    return [_cut(found, request) for found in _by_parent(rows, len(keys))]


async def related(services: Services, actor: Actor, join: Join, keys: Sequence[Key]) -> list[list[Row]]:
    """All related rows of each key, in the keys' order: one statement. For short bounded lists and to-one relations."""
    for scope in join.scopes():
        actor.require(scope)
    rows = await services.database.bound_rows(query.related(join, actor, keys))
    return _by_parent(rows, len(keys))


async def by_keys(services: Services, actor: Actor, source: Source, keys: Sequence[Key]) -> list[Row | None]:
    """The row of each key, ``None`` where there is none: one statement."""
    found = await related(services, actor, query.by_key(source), keys)
    return [rows[0] if rows else None for rows in found]


async def count(services: Services, actor: Actor, source: Source, where: Expression | None) -> int:
    """How many rows of ``source`` there are: one statement."""
    read = _allowed(services, actor, source, where)
    rows = await read(query.count(source, actor, where))
    return int(rows[0]["count"])


async def counts_per_parent(
    services: Services, actor: Actor, join: Join, where: Expression | None, keys: Sequence[Key]
) -> list[int]:
    """How many related rows each key has, in the keys' order: one statement."""
    read = _allowed(services, actor, join, where)
    rows = await read(query.counts_per_parent(join, actor, where, keys))
    found = {row[PARENT]: int(row["count"]) for row in rows}
    return [found.get(number, 0) for number in range(1, len(keys) + 1)]


async def groups(services: Services, actor: Actor, source: Source, request: GroupRequest) -> list[Row]:
    """One row a group, by the labels of its groups and measures: one statement."""
    read = _allowed(services, actor, source, request.where, request.columns())
    return await read(query.groups(source, actor, request))


async def count_groups(services: Services, actor: Actor, source: Source, request: GroupRequest) -> int:
    """How many groups there are without the limit: one statement."""
    read = _allowed(services, actor, source, request.where, request.columns())
    rows = await read(query.count_groups(source, actor, request))
    return int(rows[0]["count"])


def check(
    actor: Actor, what: Source | Join, where: Expression | None = None, columns: Iterable[str] = ()
) -> list[Source]:
    """The sources that a statement on ``what`` reads, depending on ``where`` and ``columns``, if ``actor`` may."""
    source, scopes = (what.target, what.scopes()) if isinstance(what, Join) else (what, [what.scope])
    for scope in chain(scopes, query.scopes(where, source), source.scopes_of(columns)):
        actor.require(scope)
    return [source, *query.sources(where)]


def _allowed(
    services: Services, actor: Actor, what: Source | Join, where: Expression | None, columns: Iterable[str] = ()
) -> Callable[[Select[Any]], Awaitable[list[Row]]]:
    """How to run a statement that ``check`` lets pass."""
    owned = any(touched.row_scope(actor) is not None for touched in check(actor, what, where, columns))
    return partial(services.database.rows, actor.tenant, subject=actor.subject if owned else None)


def _cut(rows: list[Row], request: PageRequest) -> Page:
    kept = rows[: request.limit]
    return Page(kept[::-1] if request.backward else kept, len(rows) > request.limit)


def _by_parent(rows: list[Row], count: int) -> list[list[Row]]:
    found: list[list[Row]] = [[] for _ in range(count)]
    for row in rows:
        found[row.pop(PARENT) - 1].append(row)
    return found
