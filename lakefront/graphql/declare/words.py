"""The words of the declaration language."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import strawberry
from sqlalchemy import ColumnElement, FromClause, cast
from sqlalchemy.types import TypeEngine
from strawberry.types.base import StrawberryOptional

from lakefront.db.query import Around, Points, Source
from lakefront.graphql.declare.computed import compute
from lakefront.graphql.declare.declarations import (
    Column,
    Computed,
    Connected,
    Declaration,
    Embedded,
    Found,
    Identity,
    Listed,
)
from lakefront.graphql.declare.field import DeclaredField
from lakefront.graphql.declare.protected import check_protected, protected_columns
from lakefront.graphql.declare.record import Record, declared
from lakefront.graphql.fields import Requires
from lakefront.graphql.weights import directives

R = TypeVar("R", bound=Record)

_NODES: dict[str, type[Record]] = {}


def record(source: Source | None = None) -> Callable[[type[R]], type[R]]:
    """Make a class a GraphQL type over rows of ``source``; its docstring is the description.

    Raises ``TypeError`` at import for a column that the table lacks, or that may be null where the field may not.
    """

    def decorate(cls: type[R]) -> type[R]:
        made = strawberry.type(cls, description=" ".join((cls.__doc__ or "").split()))
        if source is not None:
            if source.name != cls.__name__:
                raise TypeError(f"{cls.__name__} is declared over a source named {source.name}: give both one name.")
            made.record_source = source
            _NODES[source.name] = made
            source.protected.update(protected_columns(made))
            compute(made, source)
            _check(made, source)
        return made

    return decorate


def node_type(name: str) -> type[Record] | None:
    """The record of that GraphQL name, if it has rows of its own."""
    return _NODES.get(name)


def declare(declaration: Declaration, description: str, *, requires: str | None = None, **options: Any) -> Any:
    """A field with ``declaration``; ``requires``: the scope without which nobody may ask for it."""
    metadata: dict[str, Any] = {"declaration": declaration}
    if requires is not None:
        metadata["requires"] = Requires(requires)
    return DeclaredField(description=description, metadata=metadata, **options)


def column(
    description: str,
    *,
    name: str = "",
    filtered: bool = True,
    ordered: bool = True,
    grouped: bool = True,
    requires: str | None = None,
) -> Any:
    """The column ``name`` of the table (default: named like the field); to filter, order, group by unless said.

    Whoever lacks the scope that it ``requires`` may not have anything depend on the column, either.
    """
    return declare(Column(name, filtered, ordered, grouped), description, requires=requires)


def computed(
    description: str,
    *,
    sql: Callable[[FromClause], ColumnElement[Any]],
    type_: TypeEngine[Any] | type[TypeEngine[Any]] | None = None,
    never_null: bool = False,
    filtered: bool = True,
    ordered: bool = True,
    grouped: bool = True,
    requires: str | None = None,
) -> Any:
    """What ``sql`` makes of a row's columns (``rows.c``), the same each time; cast to ``type_`` where that is given.

    It is a column like others: to select, filter, order, group by. What it makes of a column that requires a scope
    requires that scope. It may be null, unless ``never_null`` says that it is not: should it be, that is an error at
    the field, as for any resolver. Numbers must be finite, times within years 1 to 9999.
    """

    def expression(rows: FromClause) -> ColumnElement[Any]:
        value = sql(rows)
        return value if type_ is None else cast(value, type_)

    declaration = Computed("", filtered, ordered, grouped, expression=expression, never_null=never_null)
    return declare(declaration, description, requires=requires)


def embedded(description: str, *, requires: str | None = None) -> Any:
    """An object of columns of the same row; its record has no source of its own."""
    return declare(Embedded(), description, requires=requires)


def identity(description: str) -> Any:
    """The global Node id."""
    return declare(Identity(), description)


def relation(description: str, *, on: Mapping[str, str], requires: str | None = None, size: int | None = None) -> Any:
    """Related rows (``on``: own column -> theirs): all when annotated as a list, else the one there is.

    ``size`` is how many of a list are expected, for its cost.
    """
    return declare(Listed(on), description, requires=requires, directives=directives(size=size))


def connection(description: str, *, on: Mapping[str, str] | None = None, requires: str | None = None) -> Any:
    """Pages with filter and order: of related rows (``on``: own column -> theirs), or at the root of a whole source."""
    return declare(Connected(on or {}), description, requires=requires)


def nearby(description: str, *, here: Points, there: Points, meters: float, requires: str | None = None) -> Any:
    """Pages of the rows one of whose points (``there``) is near one of the parent's (``here``): within ``meters``."""
    return declare(Connected({}, Around(here, there, meters)), description, requires=requires)


def lookup(description: str, *, by: Mapping[str, str], requires: str) -> Any:
    """One row by its key; ``by``: argument's GraphQL name -> its description, in the order of the source's key."""
    return declare(Found(tuple(by.items())), description, requires=requires)


def _check(cls: type[Record], source: Source) -> None:
    for name, (field, declaration) in declared(cls).items():
        if isinstance(declaration, Column):
            column = declaration.name
            if column not in source.columns():
                raise TypeError(f"{cls.__name__}.{name}: {source.table.name} has no column {column} to read.")
            sure = isinstance(declaration, Computed) and declaration.never_null
            if source.nullable(column) and not sure and not isinstance(field.type, StrawberryOptional):
                raise TypeError(f"{cls.__name__}.{name}: {column} may be null; annotate it with '| None'.")
    check_protected(cls, source)
