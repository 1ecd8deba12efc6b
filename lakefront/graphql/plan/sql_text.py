"""Texts in SQL: scalars in their canonical forms, cursors and ids, names of GraphQL, rows as JSON."""

from collections.abc import Sequence
from typing import Any, Final

import strawberry
from sqlalchemy import JSON, ColumnElement, FromClause, Integer, String, Text, case, cast, func, literal_column
from strawberry.types.enum import StrawberryEnumDefinition

from lakefront.db.query import OrderKey, Source
from lakefront.graphql.declare.cursors import fingerprint
from lakefront.graphql.scalars import BigInt

EMPTY: Final = literal_column("'[]'::json", JSON)
"""The empty list."""


def text_form(column: ColumnElement[Any], leaf: Any) -> ColumnElement[Any]:
    """The value of ``column`` as GraphQL's ``leaf`` type writes it in JSON (DESIGN.md, "Texts")."""
    if isinstance(leaf, StrawberryEnumDefinition):
        return case(*((column == _quoted(value.value), constant(value.name)) for value in leaf.values))
    if leaf is BigInt or (leaf in (str, strawberry.ID) and not isinstance(column.type, String)):
        return cast(column, Text)
    return column


def never_null(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """``column``, whose null is an error: PostgreSQL raises one, and the resolvers tell it as the specification says.

    What is no integer is made of the null itself: of a constant alone PostgreSQL makes it while it plans.
    """
    wrong = cast(func.concat(literal_column("'a value that is never null is'"), column), Integer)
    return func.coalesce(column, cast(cast(wrong, Text), column.type))


def opaque(parts: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """``cursors.encode`` in SQL."""
    text = cast(func.json_build_array(*parts), Text)
    return func.translate(
        func.encode(func.convert_to(text, literal_column("'UTF8'")), literal_column("'base64'")),
        literal_column("E'+/=\\n'"),
        literal_column("'-_'"),
    )


def cursor(source: Source, order: Sequence[OrderKey], rows: FromClause) -> ColumnElement[Any]:
    """``cursors.cursor`` in SQL."""
    mark: ColumnElement[Any] = literal_column(f"'{fingerprint(source, order)}'::text")  # hexadecimal digits
    return opaque([mark, *(rows.c[key.column] for key in order)])


def _quoted(text: str) -> ColumnElement[Any]:
    return literal_column("'" + text.replace("'", "''") + "'", Text)  # an enum's value, which the program has


def constant(name: str) -> ColumnElement[Any]:
    """A name of GraphQL: letters, digits, underscores."""
    return literal_column(f"'{name}'::text")


def row_of(rows: Any) -> ColumnElement[Any]:
    """Each of ``rows`` as a whole, to be gathered: ``json_agg`` makes an object of it without copying its text."""
    return literal_column(f'"{rows.name}"')


def json_of(rows: Any) -> ColumnElement[Any]:
    """Each of ``rows`` as a JSON object."""
    return func.row_to_json(row_of(rows), type_=JSON)
