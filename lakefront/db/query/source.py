"""What can be read: a table (or a part of one), its key, its order, the scope that opens it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, FromClause, Label, Table, Text, and_, bindparam

from lakefront.actor import Actor
from lakefront.db.query import computed
from lakefront.db.query.order import OrderKey
from lakefront.errors import Forbidden

QUERY_TENANT = "query_tenant"
"""The name of ``tenant_parameter``."""

QUERY_SUBJECT = "query_subject"
"""The name of the query's parameter for the subject, where rows have an owner and the actor sees its own alone."""

Key = tuple[Any, ...]
"""Values of a source's key columns, or of a join's local columns, in their order."""


@dataclass(frozen=True, eq=False)
class Source:
    """Rows of ``table`` that belong to the tenant; ``name`` is what one row is called (``Permit``).

    ``key`` identifies a row within the tenant. ``order`` is the order when none is asked for (then the key). ``only``
    restricts it to rows with these values; ``hidden`` columns are never read. An actor needs ``scope`` to read it; who
    holds it for own rows alone reads those whose ``owner`` (a column) is its subject. ``protected``: column -> the
    scope without which nothing may depend on its values (``column(requires=…)`` of the GraphQL type fills it).
    ``computed``: name -> what SQL makes of the table's columns (``computed`` fields of the GraphQL type fill it).
    """

    name: str
    table: Table
    key: tuple[str, ...]
    scope: str
    order: tuple[str, ...] = ()
    only: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    owner: str | None = None
    protected: dict[str, str] = field(default_factory=dict)
    computed: dict[str, Label[Any]] = field(default_factory=dict)

    def columns(self) -> list[str]:
        """Names of the columns that a row has when it is read."""
        return [*self._stored(), *self.computed]

    def _stored(self) -> list[str]:
        return [column.name for column in self.table.columns if column.name not in {"tenant_id", *self.hidden}]

    def compute(self, name: str, expression: ColumnElement[Any]) -> None:
        """Let each row have the value of ``expression`` (over the table's columns) as if it were a column ``name``.

        Raises ``TypeError`` where the table has such a column, or for what ``computed.checked`` refuses.
        """
        if name in self.table.c:
            raise TypeError(f"{self.table.name} has a column {name}. Give the field another name.")
        self.computed[name] = computed.checked(name, expression, self._stored())

    def rows(self, name: str | None = None) -> FromClause:
        """The table to read from, as ``name``; its columns are followed by what is computed of them."""
        rows = self.table.alias(name)
        for value in [computed.of_rows(value, rows) for value in self.computed.values()]:
            # There is no public way; in a subquery, every column would stand in the text of every statement.
            rows._columns.add(value)  # noqa: SLF001
        return rows

    def column(self, name: str) -> ColumnElement[Any]:
        """The column ``name``, or what is computed under that name, for its type; raises ``KeyError``."""
        return self.computed[name] if name in self.computed else self.table.c[name]

    def reads(self, name: str) -> Iterator[str]:
        """The columns of which the value under ``name`` is computed; none for a column."""
        return computed.reads(self.computed[name]) if name in self.computed else iter(())

    def nullable(self, name: str) -> bool:
        """Whether the column ``name`` may be null; what is computed always may."""
        return name in self.computed or bool(self.table.c[name].nullable)

    def complete(self, keys: tuple[OrderKey, ...] = ()) -> tuple[OrderKey, ...]:
        """``keys`` made total: the default order when empty, and always the source's key as tie-breaker.

        The tie-breaker runs in the direction of the last key, so that one index serves the whole order.
        """
        descending = keys[-1].descending if keys else False
        names = self.key if keys else (*self.order, *self.key)
        taken = [key.column for key in keys]
        rest = dict.fromkeys(name for name in names if name not in taken)
        return (*keys, *(self.order_key(name, descending=descending) for name in rest))

    def order_key(self, column: str, *, descending: bool = False, nulls_first: bool | None = None) -> OrderKey:
        """Order by ``column``; nulls count as the greatest (PostgreSQL's default) unless ``nulls_first`` is given."""
        nulls_first = descending if nulls_first is None else nulls_first
        return OrderKey(column, descending, nulls_first, self.nullable(column))

    def scopes_of(self, columns: Iterable[str]) -> Iterator[str]:
        """The scopes that an actor needs to have anything depend on ``columns``."""
        return (self.protected[name] for name in columns if name in self.protected)

    def row_scope(self, actor: Actor) -> str | None:
        """The subject whose rows are all that ``actor`` sees; ``None``: the tenant's.

        Raises ``Forbidden`` where it is to see its own and nothing tells which they are: no owner, no name.
        """
        if not actor.confined(self.scope):
            return None
        if self.owner is None or not actor.subject:
            raise Forbidden(f"'{self.scope}' is granted for own rows, and these have no owner. Ask for it on all rows.")
        return actor.subject

    def rows_of(self, actor: Actor, alias: FromClause) -> ColumnElement[bool]:
        """The condition under which a row of ``alias`` is of this source and one that ``actor`` sees."""
        return self.rows_within(actor.tenant, self.row_scope(actor), alias)

    def rows_within(self, tenant: str, subject: str | None, alias: FromClause) -> ColumnElement[bool]:
        """The same for a tenant and a row scope.

        Row security says the same; said here too, it collapses to a one-time check and index plans stay (DESIGN.md).
        """
        conditions = [alias.c.tenant_id == tenant_parameter(tenant)]
        conditions += [alias.c[name] == value for name, value in self.only.items()]
        if subject is not None:
            assert self.owner is not None, "row_scope refuses a source without an owner"
            conditions.append(alias.c[self.owner] == bindparam(QUERY_SUBJECT, subject, Text))
        return and_(*conditions)


@dataclass(frozen=True)
class Points:
    """Where rows are: by columns of their own, or of rows of ``source`` (``on``: their column -> its)."""

    source: Source
    on: tuple[tuple[str, str], ...] = ()
    latitude: str = "latitude"
    longitude: str = "longitude"


@dataclass(frozen=True)
class Around:
    """Rows belong to a row where one of their points (``there``) is within ``meters`` of one of its own (``here``)."""

    here: Points
    there: Points
    meters: float = 0.0

    @property
    def local(self) -> tuple[str, ...]:
        """The columns of the row that tell where it is, or which rows do."""
        return tuple(mine for mine, _ in self.here.on) or (self.here.latitude, self.here.longitude)


@dataclass(frozen=True)
class Join:
    """How rows of ``target`` belong to a row: pairs of (column of the row, column of ``target``), or ``around`` it.

    An actor needs ``requires``, too, besides the target's own scope.
    """

    target: Source
    on: tuple[tuple[str, str], ...]
    requires: str | None = None
    around: Around | None = None

    def within(self, meters: float | None) -> "Join":
        """The same for that distance, where it is one by distance."""
        if self.around is None or meters is None:
            return self
        return replace(self, around=replace(self.around, meters=meters))

    def scopes(self) -> Iterator[str]:
        """The scopes that an actor needs to follow it."""
        yield self.target.scope
        if self.around is not None:
            yield from (self.around.here.source.scope, self.around.there.source.scope)
        if self.requires is not None:
            yield self.requires

    @property
    def local(self) -> tuple[str, ...]:
        """The columns of the row from which its related rows are found."""
        if self.around is None:
            return tuple(here for here, _ in self.on)
        return self.around.local

    @property
    def values(self) -> list[ColumnElement[Any]]:
        """Columns of the types of ``local``, in their order."""
        if self.around is None:
            return [self.target.column(name) for name in self.remote]
        here = self.around.here
        return [here.source.column(name) for name in (*(theirs for _, theirs in here.on),) or self.local]

    @property
    def remote(self) -> tuple[str, ...]:
        """The target's columns that hold the same values."""
        return tuple(there for _, there in self.on)


def by_key(source: Source) -> Join:
    """The join of a source's own key with itself: rows by key are related rows, too."""
    return Join(source, tuple((name, name) for name in source.key))


def tenant_parameter(tenant: str) -> BindParameter[str]:
    """The query's parameter for the tenant; apart from ``as_tenant``'s: neither can stand in for the other."""
    return bindparam(QUERY_TENANT, tenant, Text)
