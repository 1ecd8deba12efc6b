"""Columns that require a scope, as their fields say: nothing may depend on them for whoever lacks it."""

from collections.abc import Iterable, Iterator

from lakefront.db.query import Source
from lakefront.graphql.declare.declarations import Column, Connected, Embedded, Listed
from lakefront.graphql.declare.record import declared, record_of, required


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
    shown = [*_shown(cls), ("its order", None, (*source.key, *source.order))]
    for name, scope, columns in shown:
        for column in columns:
            if source.protected.get(column) not in (None, scope):
                told = f"{cls.__name__}: {name} shows {column}, which requires {source.protected[column]}."
                raise TypeError(f"{told} Let it require the same.")


def _shown(cls: type, around: str | None = None) -> Iterator[tuple[str, str | None, Iterable[str]]]:
    """(name, required scope, columns) of every field that tells something of columns of the record's row."""
    for name, (field, declaration) in declared(cls).items():
        scope = required(field) or around
        match declaration:
            case Column(column):
                yield name, scope, (column,)
            case Embedded():
                yield from _shown(record_of(field), scope)
            case Listed(on) | Connected(on):
                yield name, scope, on
