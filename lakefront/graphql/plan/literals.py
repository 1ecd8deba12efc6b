"""Statements for people: their parameters written below them, so that psql takes them."""

from collections.abc import Sequence
from typing import Any

from lakefront.db.statement import Statement


def with_parameters(statement: Statement) -> str:
    """The text of ``statement``, and in comments what stands for ``$1`` and so on: put there, it can be run by hand."""
    told = (f"-- ${place} = {literal(value)}" for place, value in enumerate(statement.values, 1))
    return "\n".join((statement.sql, *told))


def literal(value: Any) -> str:
    """``value`` as PostgreSQL reads it, in one line whatever is in it."""
    match value:
        case None:
            return "NULL"
        case bool() | int() | float():
            return str(value).lower()
        case list() | tuple():
            return _array(value)
        case bytes():
            return f"'\\x{value.hex()}'"
    text = str(value).replace("'", "''")
    if text.isprintable() and "\\" not in text:
        return f"'{text}'"
    return "E'" + "".join(map(_escaped, text)) + "'"


def _array(values: Sequence[Any]) -> str:
    return f"ARRAY[{', '.join(map(literal, values))}]" if values else "'{}'"


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
