"""SQLAlchemy Core compiles, asyncpg runs (ADR 0006): from a ``Select`` to one statement with the tenant inside.

``SELECT CASE WHEN set_config('lakefront.tenant', $t, true) = $t THEN (SELECT json of …) END`` sets the tenant, checks
it and reads in one round trip; nothing sticks to the connection. The answer is PostgreSQL's JSON text, whose forms are
the canonical ones of every door: a DateTime is ``2024-01-15T10:30:00.5+00:00``.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement, Select, Text, bindparam, case, func, literal_column, select
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

_DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]


class Statement(NamedTuple):
    """SQL text with ``$1 …`` and the values for them, ready for asyncpg."""

    sql: str
    values: Sequence[Any]


def compile_statement(statement: ClauseElement) -> Statement:
    """Compile ``statement`` for asyncpg; every value travels as a parameter, never as text."""
    compiled: Any = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    parameters = compiled.construct_params(escape_names=False)
    # How Core turns Python values into the driver's; there is no public name for it.
    processors = compiled._bind_processors  # noqa: SLF001
    values = [
        processors[name](parameters[name]) if name in processors else parameters[name]
        for name in (compiled.positiontup or ())
    ]
    return Statement(compiled.string, values)


def as_tenant(tenant: str, rows: Select[Any]) -> Statement:
    """``rows`` as one JSON array text, read as ``tenant``: one row, one column of the answer.

    The statement fails closed: should the setting not take, the answer is NULL.
    """
    part = rows.subquery("q")
    body = select(func.coalesce(func.json_agg(literal_column("row_to_json(q)")), literal_column("'[]'::json")))
    body = body.select_from(part)
    name = bindparam("lakefront_tenant", tenant, Text)
    guard = func.set_config("lakefront.tenant", name, literal_column("true")) == name
    return compile_statement(select(case((guard, body.scalar_subquery()))))
