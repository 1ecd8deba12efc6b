"""SQLAlchemy Core compiles, asyncpg runs (ADR 0006): from a ``Select`` to one statement with the tenant inside.

``SELECT CASE WHEN set_config('lakefront.tenant', $t, true) = $t THEN (SELECT json of …) END`` sets the tenant, checks
it and reads in one round trip; nothing sticks to the connection. The answer is PostgreSQL's JSON text, whose forms are
the canonical ones of every door: a DateTime is ``2024-01-15T10:30:00.5+00:00``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement, Select, Text, bindparam, case, func, literal_column, select
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

_DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]

TENANT = "lakefront_tenant"
"""The parameter of ``as_tenant``'s guard."""


class Statement(NamedTuple):
    """SQL text with ``$1 …`` and the values for them, ready for asyncpg."""

    sql: str
    values: Sequence[Any]


class Template:
    """A compiled statement: its text for good, parameters by name. Compiling takes milliseconds, binding does not."""

    def __init__(self, statement: ClauseElement) -> None:
        compiled: Any = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
        self.sql: str = compiled.string
        self._names: Sequence[str] = compiled.positiontup or ()
        # How Core turns Python values into the driver's; there is no public name for it.
        self._processors: Mapping[str, Any] = compiled._bind_processors  # noqa: SLF001
        self._values: Mapping[str, Any] = compiled.construct_params(escape_names=False)

    def bind(self, values: Mapping[str, Any]) -> Statement:
        """The statement with ``values`` instead of those it was compiled with, by the parameters' names."""
        bound = []
        for name in self._names:
            value = values[name] if name in values else self._values[name]
            bound.append(self._processors[name](value) if name in self._processors else value)
        return Statement(self.sql, bound)


def compile_statement(statement: ClauseElement) -> Statement:
    """Compile ``statement`` for asyncpg; every value travels as a parameter, never as text."""
    return Template(statement).bind({})


def template_as_tenant(rows: Select[Any]) -> Template:
    """``rows`` as one JSON array text, read as the tenant that is bound to TENANT: one row, one column of the answer.

    The statement fails closed: should the setting not take, the answer is NULL.
    """
    part = rows.subquery("q")
    body = select(func.coalesce(func.json_agg(literal_column("row_to_json(q)")), literal_column("'[]'::json")))
    body = body.select_from(part)
    name = bindparam(TENANT, None, Text)
    guard = func.set_config("lakefront.tenant", name, literal_column("true")) == name
    return Template(select(case((guard, body.scalar_subquery()))))


def as_tenant(tenant: str, rows: Select[Any]) -> Statement:
    """``rows`` as ``template_as_tenant`` has them, for one use."""
    return template_as_tenant(rows).bind({TENANT: tenant})
