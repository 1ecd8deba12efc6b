"""Records: GraphQL types over rows of a source, and how to walk their declared fields."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import strawberry
from strawberry.types.base import StrawberryList, StrawberryOptional, get_object_definition
from strawberry.types.field import StrawberryField
from strawberry.types.lazy_type import LazyType
from strawberry.utils.str_converters import to_camel_case

from lakefront.db.database import Row
from lakefront.db.query import Join, Key, Source
from lakefront.graphql.declare.declarations import Column, Connected, Declaration, Listed
from lakefront.graphql.fields import Requires


@dataclass(kw_only=True)
class Record:
    """An object over one row. Names of class attributes keep clear of names that columns may have."""

    row: strawberry.Private[Row]
    record_source: ClassVar[Source]
    """Where rows come from; an embedded record has none and reads its owner's."""
    geo_columns: ClassVar[tuple[str, str] | None] = None
    """The columns of latitude and longitude, where the record is a place: its filter then has ``near``."""


def key_of(record: Record) -> Key:
    """The key of the record's row."""
    return tuple(record.row[name] for name in record.record_source.key)


def declaration_of(field: StrawberryField) -> Declaration | None:
    """What the field means in SQL; ``None`` for one that is resolved in Python only."""
    found: Declaration | None = field.metadata.get("declaration")
    if isinstance(found, Column) and not found.name:
        return replace(found, name=field.python_name)
    return found


def required(field: StrawberryField) -> str | None:
    """The scope that the field requires, if it declares one."""
    found: Requires | None = field.metadata.get("requires")
    return found.scope if found is not None else None


def declared(cls: type) -> Mapping[str, tuple[StrawberryField, Declaration]]:
    """The declared fields of a record, by their GraphQL names."""
    if cls not in _declared:
        found = _declared[cls] = {}
        for field in get_object_definition(cls, strict=True).fields:
            declaration = declaration_of(field)
            if declaration is not None:
                found[field.graphql_name or to_camel_case(field.python_name)] = (field, declaration)
    return _declared[cls]


_declared: dict[type, dict[str, tuple[StrawberryField, Declaration]]] = {}


def needed(record: type[Record], name: str) -> tuple[str, ...]:
    """The columns of its row that a field which is resolved in Python reads: all, unless it says which."""
    for field in get_object_definition(record, strict=True).fields:
        if (field.graphql_name or to_camel_case(field.python_name)) == name:
            found: tuple[str, ...] | None = field.metadata.get("needs")
            return tuple(record.record_source.columns()) if found is None else found
    return ()


def unwrapped(type_: Any) -> Any:
    """``type_`` without the wrappers of lists, nulls and forward references: a scalar, an enum, a record."""
    while True:
        if isinstance(type_, StrawberryOptional | StrawberryList):
            type_ = type_.of_type
        elif isinstance(type_, LazyType):
            type_ = type_.resolve_type()
        else:
            return type_


def is_list(field: StrawberryField) -> bool:
    """Whether the field gives a list."""
    type_: Any = field.type
    return isinstance(type_.of_type if isinstance(type_, StrawberryOptional) else type_, StrawberryList)


def record_of(field: StrawberryField) -> type[Record]:
    """The record that an object, a list or a connection leads to."""
    leaf = unwrapped(field.type)
    definition = get_object_definition(leaf, strict=True)
    if definition.type_var_map:
        (argument,) = definition.type_var_map.values()
        leaf = unwrapped(argument)
    found: type[Record] = leaf
    return found


def join_of(field: StrawberryField, declaration: Listed | Connected) -> Join:
    """How the field's rows are found from its parent's."""
    around = declaration.around if isinstance(declaration, Connected) else None
    return Join(record_of(field).record_source, tuple(declaration.on.items()), required(field), around)
