"""Generic reads of a declared source: one page, a page per parent, rows by key, counts, groups.

Each takes the actor, who must hold the scope of every source that is touched (``Forbidden`` otherwise), and sees only
rows of their own tenant. Rows are dicts: column name -> value in PostgreSQL's JSON form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    rows = await _rows(services, actor, source, query.page(source, actor.tenant, request), request.where)
    return _cut(rows, request)


async def pages_per_parent(
    services: Services, actor: Actor, join: Join, request: PageRequest, keys: Sequence[Key]
) -> list[Page]:
    """A page of related rows for each key, in the keys' order: one statement."""
    statement = query.pages_per_parent(join, actor.tenant, request, keys)
    rows = await _rows(services, actor, join.target, statement, request.where)
    return [_cut(found, request) for found in _by_parent(rows, len(keys))]


async def related(services: Services, actor: Actor, join: Join, keys: Sequence[Key]) -> list[list[Row]]:
    """All related rows of each key, in the keys' order: one statement. For short bounded lists and to-one relations."""
    actor.require(join.target.scope)
    rows = await services.database.bound_rows(query.related(join, actor.tenant, keys))
    return _by_parent(rows, len(keys))


async def by_keys(services: Services, actor: Actor, source: Source, keys: Sequence[Key]) -> list[Row | None]:
    """The row of each key, ``None`` where there is none: one statement."""
    found = await related(services, actor, query.by_key(source), keys)
    return [rows[0] if rows else None for rows in found]


async def count(services: Services, actor: Actor, source: Source, where: Expression | None) -> int:
    """How many rows of ``source`` there are: one statement."""
    rows = await _rows(services, actor, source, query.count(source, actor.tenant, where), where)
    return int(rows[0]["count"])


async def counts_per_parent(
    services: Services, actor: Actor, join: Join, where: Expression | None, keys: Sequence[Key]
) -> list[int]:
    """How many related rows each key has, in the keys' order: one statement."""
    statement = query.counts_per_parent(join, actor.tenant, where, keys)
    rows = await _rows(services, actor, join.target, statement, where)
    found = {row[PARENT]: int(row["count"]) for row in rows}
    return [found.get(number, 0) for number in range(1, len(keys) + 1)]


async def groups(services: Services, actor: Actor, source: Source, request: GroupRequest) -> list[Row]:
    """One row a group, by the labels of its groups and measures: one statement."""
    return await _rows(services, actor, source, query.groups(source, actor.tenant, request), request.where)


async def count_groups(services: Services, actor: Actor, source: Source, request: GroupRequest) -> int:
    """How many groups there are without the limit: one statement."""
    rows = await _rows(services, actor, source, query.count_groups(source, actor.tenant, request), request.where)
    return int(rows[0]["count"])


async def _rows(
    services: Services, actor: Actor, source: Source, statement: Select[Any], where: Expression | None = None
) -> list[Row]:
    for touched in chain([source], query.sources(where)):
        actor.require(touched.scope)
    return await services.database.rows(actor.tenant, statement)


def _cut(rows: list[Row], request: PageRequest) -> Page:
    kept = rows[: request.limit]
    return Page(kept[::-1] if request.backward else kept, len(rows) > request.limit)


def _by_parent(rows: list[Row], count: int) -> list[list[Row]]:
    found: list[list[Row]] = [[] for _ in range(count)]
    for row in rows:
        found[row.pop(PARENT) - 1].append(row)
    return found
