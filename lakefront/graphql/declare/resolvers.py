"""How declared fields are resolved row by row: the third tier (DESIGN.md), through the operation's DataLoaders."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Any, TypeVar

from strawberry.types.base import StrawberryOptional
from strawberry.types.field import StrawberryField

from lakefront.db.database import Row
from lakefront.db.query import Join, Key, PageRequest
from lakefront.db.query.values import from_json
from lakefront.domain.reads import Page
from lakefront.graphql.connections import Connection, Reading
from lakefront.graphql.context import Context
from lakefront.graphql.declare.arguments import page_request
from lakefront.graphql.declare.cursors import cursor, node_id
from lakefront.graphql.declare.declarations import (
    Column,
    Connected,
    Declaration,
    Embedded,
    Found,
    Grouped,
    Identity,
    Listed,
    Whole,
)
from lakefront.graphql.declare.grouping import group_request
from lakefront.graphql.declare.keys import read_key
from lakefront.graphql.declare.record import Record, declared, is_list, join_of, key_of, record_of
from lakefront.graphql.declare.selection import selected
from lakefront.loaders import Loaders

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Ask:
    """One field to resolve: ``parent`` is what its own parent gave, ``values`` are its arguments by GraphQL name."""

    field: StrawberryField
    parent: Any
    info: Any
    values: Mapping[str, Any]

    @property
    def row(self) -> Row:
        """The parent's row."""
        row: Row = self.parent.row
        return row

    @property
    def loaders(self) -> Loaders:
        """The operation's loaders."""
        context: Context = self.info.context
        return context.loaders


@singledispatch
def resolve(declaration: Declaration, ask: Ask) -> Any:
    """The value of a field with ``declaration``, or an awaitable of it."""
    raise NotImplementedError(f"nothing resolves {declaration} of {ask.field.python_name}")


@resolve.register
def _column(declaration: Column, ask: Ask) -> Any:
    # A group has only the keys that it was grouped by; every other row has all of its columns.
    return ask.row.get(declaration.name)


@resolve.register
def _identity(_: Identity, ask: Ask) -> str:
    return node_id(ask.parent.record_source.name, key_of(ask.parent))


@resolve.register
def _whole(_: Whole, ask: Ask) -> Any:
    return ask.parent


@resolve.register
def _embedded(_: Embedded, ask: Ask) -> Record | None:
    record, row = record_of(ask.field), ask.row
    some = False
    for field, part in declared(record).values():
        if isinstance(part, Column):
            if row[part.name] is not None:
                some = True
            elif not isinstance(field.type, StrawberryOptional):
                return None
    return record(row=row) if some else None


@resolve.register
async def _listed(declaration: Listed, ask: Ask) -> Any:
    record, join = record_of(ask.field), join_of(ask.field, declaration)
    key = parent_key(join, ask.row)
    rows = await ask.loaders.related(join, key) if key is not None else []
    ask.loaders.hand_out(len(rows))
    if is_list(ask.field):
        return [record(row=row) for row in rows]
    return record(row=rows[0]) if rows else None


@resolve.register
def _connected(declaration: Connected, ask: Ask) -> Connection[Any]:
    record = record_of(ask.field)
    source, request = record.record_source, page_request(record, ask.values, around=declaration.around)
    page: Callable[[], Awaitable[Page]] = partial(ask.loaders.page, source, request)
    count: Callable[[], Awaitable[int]] = partial(ask.loaders.count, source, request.where)
    if declaration.related:
        join = join_of(ask.field, declaration).within(request.meters)
        key = parent_key(join, ask.row)
        page = _no_page if key is None else partial(ask.loaders.page_of, join, request, key)
        count = _no_count if key is None else partial(ask.loaders.count_of, join, request.where, key)
    return Connection(reading=_reading(ask.loaders, record, request, page, count))


def connect(loaders: Loaders, record: type[Record], request: PageRequest) -> Connection[Any]:
    """The connection that a hand-written root field gives: pages of the whole source of ``record``."""
    source = record.record_source
    page, count = partial(loaders.page, source, request), partial(loaders.count, source, request.where)
    return Connection(reading=_reading(loaders, record, request, page, count))


def _reading(
    loaders: Loaders,
    record: type[Record],
    request: PageRequest,
    page: Callable[[], Awaitable[Page]],
    count: Callable[[], Awaitable[int]],
) -> Reading:
    def node(row: Row) -> Record:
        loaders.hand_out(1)
        return record(row=row)

    return Reading(request, page, count, partial(cursor, record.record_source, request.order), node)


async def _no_page() -> Page:
    return Page([], more=False)


async def _no_count() -> int:
    return 0


@resolve.register
async def _found(declaration: Found, ask: Ask) -> Record | None:
    return await fetch(ask.loaders, record_of(ask.field), [ask.values[name] for name, _ in declaration.arguments])


@resolve.register
async def _grouped(declaration: Grouped, ask: Ask) -> Record:
    record, wanted = declaration.record, selected(ask.info.selected_fields)
    request = group_request(record, ask.values, [path.split(".")[1:] for path in wanted if path.startswith("groups.")])
    row: Row = {}
    if "groups" in wanted:
        found = await ask.loaders.groups(record.record_source, request)
        row["groups"] = [Record(row=group) for group in found]
    if "totalGroups" in wanted:
        row["totalGroups"] = await ask.loaders.count_groups(record.record_source, request)
    return Record(row=row)


async def fetch(loaders: Loaders, record: type[R], values: Sequence[Any]) -> R | None:
    """The record whose key is ``values`` (JSON forms); ``None`` when there is none, also when there cannot be one."""
    source = record.record_source
    key = read_key(source, values)
    if key is None:
        return None
    row = await loaders.row(source, key)
    return record(row=row) if row is not None else None


def parent_key(join: Join, row: Row) -> Key | None:
    """The values in ``row`` by which ``join`` finds its related rows; ``None`` where one is null: there are none."""
    types = [column.type for column in join.values]
    key = tuple(from_json(type_, row[name]) for type_, name in zip(types, join.local, strict=True))
    return None if None in key else key
