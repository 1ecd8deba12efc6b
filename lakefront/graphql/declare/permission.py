"""Which scope a field requires: said at the field, read by whoever runs operations (default deny).

A root field must require one. A field below may: without it, it hangs on the root field through which it is reached.
A field of an input object or a value of an enum may, where it names something that requires one.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import strawberry
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema

from lakefront.graphql.declare.enums import required_by
from lakefront.graphql.declare.protected import check_owned
from lakefront.graphql.declare.record import Record
from lakefront.graphql.fields import Requires

Field = tuple[str, str]
"""The GraphQL names of a type and of one of its fields (or values)."""

_known: "WeakKeyDictionary[strawberry.Schema, Mapping[Field, str]]" = WeakKeyDictionary()


def permission(schema: strawberry.Schema, type_name: str, field_name: str) -> str | None:
    """The scope that ``type_name.field_name`` (GraphQL names) requires; ``None`` when it declares none."""
    return permissions(schema).get((type_name, field_name))


def permissions(schema: strawberry.Schema) -> Mapping[Field, str]:
    """The scope of every field that requires one.

    Raises ``TypeError`` where a type requires for an interface's field what the interface does not: a document that
    selects it through the interface would get past; and where a record requires a scope for own rows on all rows.
    """
    if schema not in _known:
        found = _known[schema] = dict(_declared(schema))
        core = schema._schema  # noqa: SLF001 - graphql-core's schema, to which Strawberry gives no public name
        for (type_name, field_name), scope in found.items():
            for interface in getattr(core.type_map[type_name], "interfaces", ()):
                if field_name in interface.fields and found.get((interface.name, field_name)) != scope:
                    told = f"{type_name}.{field_name} requires {scope}, {interface.name}.{field_name} does not."
                    raise TypeError(f"{told} Let both require the same.")
        for type_name in core.type_map:
            cls = getattr(schema.get_type_by_name(type_name), "origin", None)
            if isinstance(cls, type) and issubclass(cls, Record) and hasattr(cls, "record_source"):
                check_owned(cls)
    return _known[schema]


def guard(schema: strawberry.Schema) -> strawberry.Schema:
    """Have every field below the roots that requires a scope ask for it, too, when it is resolved.

    Operations are refused before that, where nothing else is set (``forbidden_fields``): then nothing is asked here.
    """
    core = schema._schema  # noqa: SLF001 - as above
    roots = set(_roots(core))
    for (type_name, field_name), scope in permissions(schema).items():
        type_ = core.type_map[type_name]
        if isinstance(type_, GraphQLObjectType) and type_name not in roots:
            field = type_.fields[field_name]
            assert field.resolve is not None, "Strawberry resolves every field"
            field.resolve = _guarded(field.resolve, scope)
    return schema


def _guarded(resolve: Callable[..., Any], scope: str) -> Callable[..., Any]:
    def resolved(source: Any, info: Any, **arguments: Any) -> Any:
        info.context.actor.require(scope)
        return resolve(source, info, **arguments)

    return resolved


def _roots(core: GraphQLSchema) -> Iterator[str]:
    return (root.name for root in (core.query_type, core.mutation_type, core.subscription_type) if root is not None)


def _declared(schema: strawberry.Schema) -> Iterator[tuple[Field, str]]:
    for name, type_ in schema._schema.type_map.items():  # noqa: SLF001 - as above
        definition: Any = schema.get_type_by_name(name)
        if isinstance(type_, GraphQLEnumType):
            for value, scope in required_by(getattr(definition, "wrapped_cls", None)).items():
                yield (name, value), scope
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field in getattr(definition, "fields", ()):
                required = field.metadata.get("requires")
                if isinstance(required, Requires):
                    yield (name, schema.config.name_converter.from_field(field)), required.scope
