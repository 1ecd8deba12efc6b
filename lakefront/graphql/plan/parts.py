"""What an operation selects where it can be compiled: a tree of declarations that SQL is made of.

Response names are GraphQL's, columns are SQL's. A part with arguments knows its place among the operation's ``Ask``s,
whose values are read for each request.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import FieldNode
from graphql.execution.values import VariableValues

from lakefront.db.query import Join, Source
from lakefront.graphql.declare.record import Record
from lakefront.graphql.plan.coerce import Arguments
from lakefront.graphql.plan.mixed import Mixed


class Ask:
    """The arguments of the field at ``path``; ``read`` makes of their values (by GraphQL name) what is asked for.

    Reading raises ``ValidationError`` or ``GraphQLError``, as the resolver does, for values that mean nothing.
    """

    __slots__ = ("_arguments", "_known", "_read", "path")

    def __init__(
        self, arguments: Arguments, read: Callable[[Mapping[str, Any]], Any], path: tuple[str, ...] = ()
    ) -> None:
        self.path = path
        self._arguments = arguments
        self._read = read
        self._known: Any = None

    def values(self, variables: VariableValues) -> Any:
        """What one request asks for; the same each time where no variable is in the arguments."""
        if self._known is not None:
            return self._known
        found = self._read(self._arguments.values(variables))
        if self._arguments.constant:
            self._known = found
        return found


class Later(Ask):
    """A key that no argument gives: whoever runs the statement has it."""

    __slots__ = ()

    def __init__(self) -> None:
        self.path = ()

    def values(self, variables: VariableValues) -> Any:
        """Nothing yet."""
        del variables
        return ()


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A column's value, in the text form of its GraphQL type ``leaf``; ``sure``: a null there is an error."""

    column: str
    leaf: Any
    sure: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Typename:
    """``__typename``."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """The global id of a row: its type's name and its key."""

    source: Source


@dataclass(frozen=True, slots=True, eq=False)
class Inner:
    """An object made of columns of the row at hand.

    It is null unless all of ``required`` and one of ``some`` have a value; without ``some`` it is always there.
    """

    fields: "Fields"
    some: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Related:
    """All related rows, or the first one where ``many`` is false."""

    join: Join
    fields: "Fields"
    many: bool


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """A page's edges: by response name a cursor (``None``), the node's fields, or a constant."""

    members: tuple[tuple[str, "Fields | Typename | None"], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """A page's rows."""

    fields: "Fields"


@dataclass(frozen=True, slots=True, eq=False)
class Info:
    """``pageInfo``: by response name, its GraphQL field."""

    members: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Total:
    """``totalCount``."""


@dataclass(frozen=True, slots=True, eq=False)
class Pages:
    """A connection: a page of ``source``, of the rows related by ``join`` where there is one."""

    source: Source
    join: Join | None
    ask: int
    members: tuple[tuple[str, Edges | Nodes | Info | Total | Typename], ...]


@dataclass(frozen=True, slots=True, eq=False)
class One:
    """The row of ``source`` with the key that is asked for."""

    source: Source
    ask: int
    fields: "Fields"


@dataclass(frozen=True, slots=True, eq=False)
class Linked:
    """What is related to a row that is elsewhere, by the values of the join's own columns in it."""

    join: Join
    ask: int
    part: Related | Pages


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """The row that a global id names: by record, its fields, or why they cannot be SQL."""

    ask: int
    fields: Mapping[type[Record], "Fields | str"]


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Aggregates: by response name a group's fields, the number of groups (``None``), or a constant."""

    source: Source
    ask: int
    members: tuple[tuple[str, "Fields | Typename | None"], ...]


Part = Scalar | Typename | Opaque | Inner | Related | Pages | One | Linked | Node | Groups
Fields = tuple[tuple[str, Part], ...]
"""Response name -> what stands there, in the order of the answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """Root fields that need no resolver: ``read`` in one statement, or ``known`` beforehand (JSON text)."""

    read: Mapping[str, Part]
    known: Mapping[str, bytes]
    asks: tuple[Ask, ...]
    tree: Mixed
    """Where in what is read Python fields are."""
    size: int
    """How many fields are read."""

    @property
    def spread(self) -> Pages | None:
        """The only root field, where it is a connection: its members are read one by one.

        PostgreSQL copies what it puts into an object, and again what it puts into a list, which for a thousand rows is
        a sixth of its work.
        """
        only = next(iter(self.read.values())) if len(self.read) == 1 else None
        return only if isinstance(only, Pages) else None


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """A root field of the answer; ``reason`` says why it is not compiled, ``None`` where it is."""

    key: str
    name: str
    node: FieldNode
    nullable: bool
    reason: str | None = None
    path: tuple[str, ...] = field(default=())
    """The response names down to the field that keeps it from being compiled."""
