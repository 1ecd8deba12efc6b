"""Values that SQL makes of a row's columns: what they may be, and how they stand beside the columns of an alias."""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import BindParameter, ColumnClause, ColumnElement, FromClause, Label, SelectBase, TextClause
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from lakefront.db.query.values import readable


def checked(name: str, expression: ColumnElement[Any], names: Collection[str]) -> Label[Any]:
    """``expression`` under its name, its constants in SQL's text, so that an index on the expression has its order.

    Raises ``TypeError`` unless all that it reads is seen, so that scopes can protect it: columns of ``names``.
    """
    for part in iterate(expression):
        if isinstance(part, SelectBase | TextClause) or (isinstance(part, ColumnClause) and part.is_literal):
            raise TypeError(
                "what it reads cannot be seen in SQL's text or a subquery. Use columns and functions of them."
            )
    columns = set(reads(expression))
    if not columns or not columns <= set(names):
        others = ", ".join(sorted(columns.difference(names))) or "none"
        raise TypeError(f"it is to be made of columns of the row, and reads {others}.")
    if not readable(expression.type):
        raise TypeError(f"values of {expression.type!r} cannot be compared. Say with type_ what it is to be cast to.")
    found: Label[Any] = replacement_traverse(expression, {}, _in_text).label(name)
    return found


def reads(expression: ColumnElement[Any]) -> Iterator[str]:
    """The names of the columns that ``expression`` is made of."""
    return (part.name for part in iterate(expression) if isinstance(part, ColumnClause))


def of_rows(expression: Label[Any], rows: FromClause) -> Label[Any]:
    """What ``expression``, of a table's columns, is of an alias of the table."""

    def there(element: Any, **_: Any) -> Any:
        return rows.c[element.name] if isinstance(element, ColumnClause) else None

    found: Label[Any] = replacement_traverse(expression, {}, there)
    return found


def _in_text(element: Any, **_: Any) -> Any:
    return element.render_literal_execute() if isinstance(element, BindParameter) else None
