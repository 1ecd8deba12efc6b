"""How declared fields are resolved row by row: the third tier (DESIGN.md), through the operation's DataLoaders."""

from collections.abc import Mapping, Sequence
from functools import partial, singledispatch
from typing import Any

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
from lakefront.graphql.declare.record import Record, declared, is_list, join_of, key_of, record_of
from lakefront.graphql.declare.selection import selected
from lakefront.loaders import Loaders


@singledispatch
def resolve(declaration: Declaration, field: StrawberryField, source: Any, info: Any, values: Mapping[str, Any]) -> Any:
    """The value of ``field``, or an awaitable of it: ``source`` is the parent, ``values`` are the arguments by GraphQL name."""
    raise NotImplementedError(f"nothing resolves a {type(declaration).__name__}")


@resolve.register
def _column(declaration: Column, field: StrawberryField, source: Record, info: Any, values: Mapping[str, Any]) -> Any:
    return source.row[declaration.name]


@resolve.register
def _identity(
    declaration: Identity, field: StrawberryField, source: Record, info: Any, values: Mapping[str, Any]
) -> str:
    return node_id(source.record_source.name, key_of(source))


@resolve.register
def _embedded(
    declaration: Embedded, field: StrawberryField, source: Record, info: Any, values: Mapping[str, Any]
) -> Record | None:
    record = record_of(field)
    return record(row=source.row) if _known(record, source.row) else None


def _known(record: type[Record], row: Row) -> bool:
    some = False
    for field, declaration in declared(record).values():
        if isinstance(declaration, Column):
            if row[declaration.name] is not None:
                some = True
            elif not isinstance(field.type, StrawberryOptional):
                return False
    return some


@resolve.register
def _whole(declaration: Whole, field: StrawberryField, source: Record, info: Any, values: Mapping[str, Any]) -> Record:
    return source


@resolve.register
async def _listed(
    declaration: Listed, field: StrawberryField, source: Record, info: Any, values: Mapping[str, Any]
) -> Any:
    record, join = record_of(field), join_of(field, declaration)
    key = _parent_key(join, source.row)
    rows = await _loaders(info).related(join, key) if key is not None else []
    if is_list(field):
        return [record(row=row) for row in rows]
    return record(row=rows[0]) if rows else None


@resolve.register
def _connected(
    declaration: Connected, field: StrawberryField, source: Any, info: Any, values: Mapping[str, Any]
) -> Connection[Any]:
    record, loaders = record_of(field), _loaders(info)
    request = page_request(record, values)
    if declaration.on:
        join = join_of(field, declaration)
        key = _parent_key(join, source.row)
        page, count = partial(_page_of, loaders, join, request, key), partial(_count_of, loaders, join, request, key)
    else:
        page = partial(loaders.page, record.record_source, request)
        count = partial(loaders.count, record.record_source, request.where)
    return Connection(
        reading=Reading(
            request=request,
            page=page,
            count=count,
            cursor=partial(cursor, record.record_source, request.order),
            node=lambda row: record(row=row),
        )
    )


async def _page_of(loaders: Loaders, join: Join, request: PageRequest, key: Key | None) -> Page:
    return Page([], more=False) if key is None else await loaders.page_of(join, request, key)


async def _count_of(loaders: Loaders, join: Join, request: PageRequest, key: Key | None) -> int:
    return 0 if key is None else await loaders.count_of(join, request.where, key)


@resolve.register
async def _found(
    declaration: Found, field: StrawberryField, source: Any, info: Any, values: Mapping[str, Any]
) -> Record | None:
    return await fetch(_loaders(info), record_of(field), [values[name] for name, _ in declaration.arguments])


@resolve.register
async def _grouped(
    declaration: Grouped, field: StrawberryField, source: Any, info: Any, values: Mapping[str, Any]
) -> Record:
    record: Any = declaration.record
    wanted = selected(info.selected_fields)
    request = group_request(record, values, [name.split(".")[1:] for name in wanted if name.startswith("groups.")])
    row: dict[str, Any] = {}
    loaders = _loaders(info)
    if any(name.startswith("groups") for name in wanted):
        row["groups"] = [Record(row=found) for found in await loaders.groups(record.record_source, request)]
    if "totalGroups" in wanted:
        row["totalGroups"] = await loaders.count_groups(record.record_source, request)
    return Record(row=row)


async def fetch(loaders: Loaders, record: type[Record], values: Sequence[Any]) -> Record | None:
    """The record whose key is ``values`` (JSON forms); ``None`` when there is none, also when there cannot be one."""
    source = record.record_source
    if len(values) != len(source.key):
        return None
    try:
        key = tuple(from_json(source.table.c[name].type, value) for name, value in zip(source.key, values, strict=True))
    except ValueError:
        return None
    row = await loaders.row(source, key)
    return record(row=row) if row is not None else None


def _parent_key(join: Join, row: Row) -> Key | None:
    types = [join.target.table.c[name].type for name in join.remote]
    key = tuple(from_json(type_, row[name]) for type_, name in zip(types, join.local, strict=True))
    return None if None in key else key


def _loaders(info: Any) -> Loaders:
    context: Context = info.context
    return context.loaders
