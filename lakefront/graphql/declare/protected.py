"""Columns that require a scope, as their fields say: nothing may depend on them for whoever lacks it."""

from collections.abc import Iterable, Iterator

from strawberry.types.base import get_object_definition

from lakefront.actor import OWNABLE
from lakefront.db.query import Around, Source
from lakefront.graphql.declare.declarations import Column, Connected, Embedded, Listed
from lakefront.graphql.declare.record import Record, declaration_of, declared, record_of, required


def protected_columns(cls: type, around: str | None = None) -> dict[str, str]:
    """Column -> scope, of a record and of those embedded in it; what is ``around`` protects all that is inside."""
    found: dict[str, str] = {}
    for field, declaration in declared(cls).values():
        scope = required(field) or around
        if isinstance(declaration, Embedded):
            found |= protected_columns(record_of(field), scope)
        elif isinstance(declaration, Column) and scope is not None:
            found[declaration.name] = scope
    return found


def check_protected(cls: type, source: Source) -> None:
    """Raise ``TypeError`` where a protected column shows without its scope: by another field, a relation, a key."""
    shown = [*_shown(cls, source), ("its order", None, (*source.key, *source.order))]
    for name, scope, columns in shown:
        for column in columns:
            if source.protected.get(column) not in (None, scope):
                told = f"{cls.__name__}: {name} shows {column}, which requires {source.protected[column]}."
                raise TypeError(f"{told} Let it require the same.")


def _shown(cls: type, source: Source, around: str | None = None) -> Iterator[tuple[str, str | None, Iterable[str]]]:
    """(name, required scope, columns) of every field that tells something of columns of the record's row."""
    for name, (field, declaration) in declared(cls).items():
        scope = required(field) or around
        match declaration:
            case Column(column):
                yield name, scope, (column, *source.reads(column))
            case Embedded():
                yield from _shown(record_of(field), source, scope)
            case Connected(around=Around() as distance):
                yield name, scope, distance.local
            case Listed(on) | Connected(on):
                yield name, scope, on


def check_owned(cls: type[Record]) -> None:
    """Raise ``TypeError`` where a scope that may hold for own rows alone opens what is not confined to them.

    Whoever holds it so sees the field: on own rows, therefore, of the record or of those that it leads to.
    """
    for name, scope, target in _scoped(cls):
        confining = (source for source in (cls.record_source, target) if source is not None and source.owner)
        if scope in OWNABLE and not any(source.scope == scope for source in confining):
            told = f"{cls.__name__}.{name} requires {scope}, which may be granted for own rows alone."
            raise TypeError(f"{told} Let the source have that scope and an owner, or require another scope.")


def _scoped(cls: type) -> Iterator[tuple[str, str | None, Source | None]]:
    """(name, required scope, the source that it leads to) of every field, also of those in embedded records."""
    for field in get_object_definition(cls, strict=True).fields:
        declaration = declaration_of(field)
        target = record_of(field).record_source if isinstance(declaration, Listed | Connected) else None
        yield field.python_name, required(field), target
        if isinstance(declaration, Embedded):
            yield from _scoped(record_of(field))
