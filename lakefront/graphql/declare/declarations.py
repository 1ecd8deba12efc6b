"""What a field means in SQL: plain values without behaviour, walked by the resolvers now and by the planner later."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, FromClause

from lakefront.db.query import Around


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the record's table (of its owner's, in an embedded record)."""

    name: str
    filtered: bool = True
    ordered: bool = True
    grouped: bool = True


@dataclass(frozen=True, slots=True)
class Computed(Column):
    """A value that SQL makes of the row's columns; then it is a column like others, only never ``NOT NULL``."""

    expression: Callable[[FromClause], ColumnElement[Any]] = field(kw_only=True)
    never_null: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Embedded:
    """An object made of columns of the same row.

    Null when nothing is known: all of its columns are null, or one that may not be null is.
    """


@dataclass(frozen=True, slots=True)
class Identity:
    """The global Node id: base64url of the JSON array ``[type name, key …]`` (see ``cursors``)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Related rows: all, or the one there is where the field is no list; ``on``: own column -> theirs."""

    on: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Connected:
    """Pages of a record: of its whole source (``on`` empty), or of the rows related to the parent, or ``around`` it."""

    on: Mapping[str, str]
    around: Around | None = None

    @property
    def related(self) -> bool:
        """Whether they are a parent's."""
        return bool(self.on) or self.around is not None


@dataclass(frozen=True, slots=True)
class Found:
    """One row by its key: ``arguments`` are (argument's name, its description), in the order of the source's key."""

    arguments: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Named:
    """One row of any type by its global id; resolved in Python where the planner does not take it."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """Aggregates over groups of a record's rows."""

    record: type[Any]


@dataclass(frozen=True, slots=True)
class Whole:
    """An object that reads the same row as its parent: a part of an aggregate's row."""


Declaration = Column | Embedded | Identity | Listed | Connected | Found | Named | Grouped | Whole
