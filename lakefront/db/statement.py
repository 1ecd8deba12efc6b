"""SQLAlchemy Core compiles, asyncpg runs (ADR 0006): from a ``Select`` to one statement with the tenant inside.

``SELECT CASE WHEN set_config('lakefront.tenant', $t, true) = $t THEN (SELECT json of …) END`` sets the tenant, checks
it and reads in one round trip; nothing sticks to the connection. The answer is PostgreSQL's JSON text, whose forms are
the canonical ones of every door: a DateTime is ``2024-01-15T10:30:00.5+00:00``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement, ColumnElement, Select, Text, and_, bindparam, case, func, literal_column, select
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

_DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]

TENANT = "lakefront_tenant"
"""The parameter of ``as_tenant``'s guard."""

SUBJECT = "lakefront_subject"
"""Its second one, where a statement reads the rows of one subject alone."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Stands in a statement for a value that comes later: the ``index``-th of those that ``Template.fill`` takes."""

    index: int


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
        self._given = [(self._values[name], self._processors.get(name), name) for name in self._names]

    def bind(self, values: Mapping[str, Any]) -> Statement:
        """The statement with ``values`` instead of those it was compiled with, by the parameters' names."""
        bound = []
        for name in self._names:
            value = values[name] if name in values else self._values[name]
            bound.append(self._processors[name](value) if name in self._processors else value)
        return Statement(self.sql, bound)

    def fill(self, slots: Sequence[Any], values: Mapping[str, Any]) -> list[Any]:
        """The parameters in their order: those that are named from ``values``, each ``Slot`` from ``slots``."""
        filled = []
        for given, processor, name in self._given:
            value = slots[given.index] if isinstance(given, Slot) else values.get(name, given)
            filled.append(processor(value) if processor is not None else value)
        return filled


def compile_statement(statement: ClauseElement) -> Statement:
    """Compile ``statement`` for asyncpg; every value travels as a parameter, never as text."""
    return Template(statement).bind({})


def template_as_tenant(rows: Select[Any], *, owned: bool = False) -> Template:
    """``rows`` as one JSON array text, read as the tenant that is bound to TENANT: one row, one column of the answer.

    ``owned``: also as the subject that is bound to SUBJECT, to whom row security then holds tables that have an owner.
    """
    part = rows.subquery("q")
    body = select(func.coalesce(func.json_agg(literal_column("row_to_json(q)")), literal_column("'[]'::json")))
    return template_of_value(body.select_from(part).scalar_subquery(), owned=owned)


def template_of_value(value: ColumnElement[Any], *, owned: bool = False) -> Template:
    """``value`` (of subqueries) read as the tenant that is bound to TENANT, and the subject to SUBJECT where ``owned``.

    The statement fails closed: should a setting not take, the answer is NULL.
    """
    guard = _set("lakefront.tenant", TENANT)
    if owned:
        guard = and_(guard, _set("lakefront.subject", SUBJECT))
    return Template(select(case((guard, value))))


def _set(setting: str, parameter: str) -> ColumnElement[bool]:
    value = bindparam(parameter, None, Text)
    return func.set_config(setting, value, literal_column("true")) == value


def as_tenant(tenant: str, rows: Select[Any], *, subject: str | None = None) -> Statement:
    """``rows`` as ``template_as_tenant`` has them, for one use; ``subject``: the one whose rows alone are read."""
    return template_as_tenant(rows, owned=subject is not None).bind({TENANT: tenant, SUBJECT: subject})
