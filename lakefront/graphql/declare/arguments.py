"""The arguments of declared fields, and from a client's values the request they mean."""

from collections.abc import Mapping
from typing import Any

from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from lakefront.db.query import Around, PageRequest
from lakefront.graphql.declare.cursors import read_cursor
from lakefront.graphql.declare.declarations import Column, Connected, Declaration, Found, Grouped
from lakefront.graphql.declare.filters import filter_input, read_filter, read_meters
from lakefront.graphql.declare.grouping import group_arguments
from lakefront.graphql.declare.inputs import argument, listed
from lakefront.graphql.declare.limits import FIRST, MOST, row_limit
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.declare.orders import order_input, read_order
from lakefront.graphql.declare.record import Record, declared, record_of, unwrapped

_METERS = "How far away they may be: {:g} unless given, at most 100,000."


def arguments_of(field: StrawberryField, declaration: Declaration) -> list[StrawberryArgument]:
    """The arguments that follow from a field's declaration."""
    match declaration:
        case Connected(around=around):
            far = [] if around is None else [argument("meters", float, _METERS.format(around.meters))]
            return [*far, *_page_arguments(record_of(field))]
        case Found(names):
            keys = zip(names, _key_types(record_of(field)), strict=True)
            return [argument(name, type_, description, required=True) for (name, description), type_ in keys]
        case Grouped(record):
            return group_arguments(record)
        case _:
            return []


def _key_types(record: type[Record]) -> list[Any]:
    """The types of the key's fields, in the key's order."""
    columns = {part.name: field for field, part in declared(record).values() if isinstance(part, Column)}
    return [unwrapped(columns[name].type) for name in record.record_source.key]


def _page_arguments(record: type[Record]) -> list[StrawberryArgument]:
    return [
        argument("filter", filter_input(record), "Which rows; all when left out."),
        argument(
            "orderBy",
            listed(order_input(record)),
            "Keys to order by, the most important first; ties are broken by the row's key.",
        ),
        argument("first", int, f"Rows from the start of the range: {FIRST} unless given, at most {MOST}."),
        argument("after", str, "Only rows after this cursor."),
        argument("last", int, f"Rows from the end of the range, instead of first; at most {MOST}."),
        argument("before", str, "Only rows before this cursor."),
    ]


def page_request(record: type[Record], values: Mapping[str, Any], *, around: Around | None = None) -> PageRequest:
    """What a connection's arguments (by GraphQL name) mean; ``null`` counts as left out. Raises ``ValidationError``."""
    given = {name: value for name, value in values.items() if value is not None}
    first, last = given.get("first"), given.get("last")
    if first is not None and last is not None:
        raise refused("last", "first and last exclude each other. Give one of them.")
    order = read_order(record, record.record_source, given.get("orderBy"))
    after, before = (
        read_cursor(record.record_source, order, given[name], name) if name in given else None
        for name in ("after", "before")
    )
    return PageRequest(
        order=order,
        limit=row_limit("last", last) if last is not None else row_limit("first", first),
        where=read_filter(record, given["filter"]) if "filter" in given else None,
        backward=last is not None,
        after=after,
        before=before,
        meters=None if around is None else read_meters(given.get("meters"), around.meters),
    )
