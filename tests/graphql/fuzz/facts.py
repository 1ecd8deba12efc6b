"""What the generator asks about the schema; all of it comes from the schema itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import strawberry
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_non_null_type,
)

from lakefront.graphql.declare import Record, permission
from lakefront.graphql.declare.record import declaration_of, record_of


@dataclass(frozen=True)
class Facts:
    """A schema, and for whom operations are drawn."""

    schema: strawberry.Schema
    holds: Callable[[str], bool] = lambda _scope: True
    """Whether the actor has a scope."""
    nulls: bool = False
    """Whether a field that the actor may not see is null where it may be (``forbidden_fields``)."""

    @cached_property
    def core(self) -> Any:
        """graphql-core's schema."""
        return self.schema._schema

    def fields(self, type_: Any, *, daring: bool) -> dict[str, GraphQLField]:
        """The fields of ``type_`` that the actor may ask for; all of them if ``daring``."""
        nulls = self.nulls and type_ is not self.core.query_type
        return {
            name: field
            for name, field in type_.fields.items()
            if daring or self._open(type_.name, name) or (nulls and not is_non_null_type(field.type))
        }

    def _open(self, type_name: str, name: str) -> bool:
        scope = permission(self.schema, type_name, name)
        return scope is None or self.holds(scope)

    def record(self, field: GraphQLField) -> type[Record] | None:
        """What a connection has pages of."""
        made = field.extensions.get("strawberry-definition")
        if made is None or "Connection" not in get_named_type(field.type).name:
            return None
        record = record_of(made)
        return record if hasattr(record, "record_source") else None

    def compiled(self, field: GraphQLField) -> bool:
        """Whether the field is declared, so that it can become SQL."""
        made = field.extensions.get("strawberry-definition")
        return made is not None and declaration_of(made) is not None

    @staticmethod
    def is_node(type_: Any) -> bool:
        """Whether it is Relay's interface."""
        return isinstance(type_, GraphQLInterfaceType)

    def conditions(self, type_: Any) -> list[str]:
        """The types on which a fragment may be spread in ``type_``."""
        if isinstance(type_, GraphQLInterfaceType):
            return [type_.name, *sorted(kind.name for kind in self.core.get_possible_types(type_))]
        assert isinstance(type_, GraphQLObjectType)
        return [type_.name, *(interface.name for interface in type_.interfaces)]


def is_leaf(field: GraphQLField) -> bool:
    """Whether the field has nothing below it."""
    return is_leaf_type(get_named_type(field.type))


def wraps(type_: Any) -> bool:
    """Whether the type stands around rows, and is no step deeper into the data."""
    name: str = type_.name
    return name.endswith(("Connection", "Edge", "Stats", "Group"))
