"""What can be read: a table (or a part of one), its key, its order, the scope that opens it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, FromClause, Table, Text, and_, bindparam

from lakefront.db.query.order import OrderKey

QUERY_TENANT = "query_tenant"
"""The name of ``tenant_parameter``."""

Key = tuple[Any, ...]
"""Values of a source's key columns, or of a join's local columns, in their order."""


@dataclass(frozen=True, eq=False)
class Source:
    """Rows of ``table`` that belong to the tenant; ``name`` is what one row is called (``Permit``).

    ``key`` identifies a row within the tenant. ``order`` is the order when none is asked for (then the key). ``only``
    restricts it to rows with these values; ``hidden`` columns are never read. An actor needs ``scope`` to read it.
    """

    name: str
    table: Table
    key: tuple[str, ...]
    scope: str
    order: tuple[str, ...] = ()
    only: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    def columns(self) -> list[str]:
        """Names of the columns that a row has when it is read."""
        return [column.name for column in self.table.columns if column.name not in {"tenant_id", *self.hidden}]

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
        nullable = bool(self.table.c[column].nullable)
        return OrderKey(column, descending, descending if nulls_first is None else nulls_first, nullable)

    def rows_of(self, tenant: str, alias: FromClause) -> ColumnElement[bool]:
        """The condition under which a row of ``alias`` belongs to this source and tenant.

        Row security says the same; said here too, it collapses to a one-time check and index plans stay (DESIGN.md).
        """
        mine = alias.c.tenant_id == tenant_parameter(tenant)
        return and_(mine, *(alias.c[name] == value for name, value in self.only.items()))


@dataclass(frozen=True)
class Join:
    """How rows of ``target`` belong to a row: pairs of (column of the row, column of ``target``)."""

    target: Source
    on: tuple[tuple[str, str], ...]

    @property
    def local(self) -> tuple[str, ...]:
        """The columns of the row from which its related rows are found."""
        return tuple(here for here, _ in self.on)

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
