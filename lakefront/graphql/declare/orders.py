"""Orders: the input ``<T>Order`` of a record, and from a client's list the keys it means."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

import strawberry
from strawberry.types.base import get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition

from lakefront.db.query import OrderKey, Source
from lakefront.graphql.declare.declarations import Column, Embedded
from lakefront.graphql.declare.enums import described
from lakefront.graphql.declare.inputs import add, input_type
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.declare.record import Record, declared, record_of, required, unwrapped
from lakefront.graphql.scalars import BigInt

MOST_KEYS: Final = 10
"""Keys in one order."""

_ORDERED: Final = (str, strawberry.ID, int, BigInt, float, datetime, date, bool)
_orders: dict[type, Any] = {}


class OrderDirection(Enum):
    """(descending, nulls first or ``None`` for PostgreSQL's default, which indexes follow)."""

    ASC = (False, None)
    DESC = (True, None)
    ASC_NULLS_FIRST = (False, True)
    ASC_NULLS_LAST = (False, False)
    DESC_NULLS_FIRST = (True, True)
    DESC_NULLS_LAST = (True, False)


described(
    OrderDirection,
    "Which way to order, and where rows without a value go. Text is ordered by code point.",
    {
        OrderDirection.ASC: "Least first, rows without a value last.",
        OrderDirection.DESC: "Greatest first, rows without a value before them (the reverse of ASC).",
        OrderDirection.ASC_NULLS_FIRST: "Rows without a value first, then least first.",
        OrderDirection.ASC_NULLS_LAST: "Least first, rows without a value last.",
        OrderDirection.DESC_NULLS_FIRST: "Rows without a value first, then greatest first.",
        OrderDirection.DESC_NULLS_LAST: "Greatest first, rows without a value last.",
    },
)


def can_order(leaf: Any) -> bool:
    """Whether values of the type have an order."""
    return leaf in _ORDERED or isinstance(leaf, StrawberryEnumDefinition)


def order_input(record: type[Record]) -> Any:
    """``<T>Order``: one of the record's columns and its direction."""
    if record not in _orders:
        name = get_object_definition(record, strict=True).name
        made = _orders[record] = input_type(f"{name}Order", f"One key to order {name} rows by: exactly one field.")
        for field_name, (field, declaration) in declared(record).items():
            match declaration:
                case Column(ordered=True) if can_order(unwrapped(field.type)):
                    add(made, field_name, OrderDirection, f"By: {field.description}", requires=required(field))
                case Embedded():
                    part, about = order_input(record_of(field)), f"By a part of: {field.description}"
                    add(made, field_name, part, about, requires=required(field))
    return _orders[record]


def read_order(record: type[Record], source: Source, raw: Any, path: str = "orderBy") -> tuple[OrderKey, ...]:
    """The total order that a client's list means (``None``: the default one); raises ``ValidationError``."""
    keys: list[OrderKey] = []
    for place, item in enumerate(raw or ()):
        where = f"{path}[{place}]"
        column, direction = _key(record, item, where)
        if any(key.column == column for key in keys):
            raise refused(where, "This field is named before. Name each field once.")
        descending, nulls_first = direction.value
        keys.append(source.order_key(column, descending=descending, nulls_first=nulls_first))
    if len(keys) > MOST_KEYS:
        raise refused(path, f"Order by at most {MOST_KEYS} keys.")
    return source.complete(tuple(keys))


def one_entry(raw: Any, path: str) -> tuple[str, Any]:
    """The one field of ``raw`` and its value; raises ``ValidationError`` unless it is exactly one, and not null."""
    if not isinstance(raw, Mapping) or len(raw) != 1:
        raise refused(path, "Name exactly one field in each item; the list gives their order: [{a: ASC}, {b: DESC}].")
    ((name, value),) = raw.items()
    if value is None:
        raise refused(f"{path}.{name}", "null is no direction. Use ASC or DESC, or leave the item out.")
    return name, value


def _key(record: type[Record], raw: Any, path: str) -> tuple[str, OrderDirection]:
    name, value = one_entry(raw, path)
    field, declaration = declared(record)[name]
    if isinstance(declaration, Column):
        return declaration.name, value
    return _key(record_of(field), value, f"{path}.{name}")
