"""Operators by type: the inputs ``StringFilter``, ``IntFilter``, …, and what a client's operands mean."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from lakefront.db.query import Operator
from lakefront.db.query.values import bindable
from lakefront.errors import ValidationError
from lakefront.graphql.declare.inputs import add, input_type, listed
from lakefront.graphql.scalars import BigInt

MOST_ITEMS: Final = 1000
"""Items in a list operand."""

_EQUAL = (Operator.EQ, Operator.NE)
_SETS = (Operator.IN, Operator.NOT_IN)
_ORDERED = (Operator.LT, Operator.LTE, Operator.GT, Operator.GTE, Operator.BETWEEN)
_PATTERNS = (Operator.LIKE, Operator.ILIKE, Operator.STARTS_WITH)
_NULL = (Operator.IS_NULL,)

_BY_TYPE: Final[dict[Any, tuple[str, tuple[Operator, ...]]]] = {
    str: ("String", (*_EQUAL, *_SETS, *_ORDERED, *_PATTERNS, *_NULL)),
    strawberry.ID: ("ID", (*_EQUAL, *_SETS, *_ORDERED, *_PATTERNS, *_NULL)),
    int: ("Int", (*_EQUAL, *_SETS, *_ORDERED, *_NULL)),
    BigInt: ("BigInt", (*_EQUAL, *_SETS, *_ORDERED, *_NULL)),
    float: ("Float", (*_EQUAL, *_SETS, *_ORDERED, *_NULL)),
    datetime: ("DateTime", (*_EQUAL, *_SETS, *_ORDERED, *_NULL)),
    date: ("Date", (*_EQUAL, *_SETS, *_ORDERED, *_NULL)),
    bool: ("Boolean", (*_EQUAL, *_NULL)),
}

_DESCRIPTIONS: Final = {
    Operator.EQ: "Equal to this. Never true for a null value; use isNull for those.",
    Operator.NE: "Not equal to this. True for a null value, too (IS DISTINCT FROM).",
    Operator.IN: f"Equal to one of these: 1 to {MOST_ITEMS} items.",
    Operator.NOT_IN: f"Equal to none of these: 1 to {MOST_ITEMS} items. True for a null value, too.",
    Operator.LT: "Less than this.",
    Operator.LTE: "Less than or equal to this.",
    Operator.GT: "Greater than this.",
    Operator.GTE: "Greater than or equal to this.",
    Operator.BETWEEN: "Between these two, both included: [least, greatest].",
    Operator.LIKE: "Matches this pattern: % is any text, _ any one character, \\ takes the next one as it is.",
    Operator.ILIKE: "Like like, whatever the case.",
    Operator.STARTS_WITH: "Starts with this text; % and _ mean themselves.",
    Operator.IS_NULL: "true: there is no value. false: there is one.",
}

_inputs: dict[Any, Any] = {}


def has_operators(leaf: Any) -> bool:
    """Whether values of the type can be compared."""
    return leaf in _BY_TYPE or isinstance(leaf, StrawberryEnumDefinition)


def operators_input(leaf: Any) -> Any:
    """The operators of a scalar or an enum, as an input type; one for each type."""
    if leaf not in _inputs:
        _inputs[leaf] = _make(leaf)
    return _inputs[leaf]


def _make(leaf: Any) -> Any:
    annotation: Any = leaf
    operators: tuple[Operator, ...]
    if isinstance(leaf, StrawberryEnumDefinition):
        annotation, name, operators = leaf.wrapped_cls, leaf.name, (*_EQUAL, *_SETS, *_NULL)
    else:
        name, operators = _BY_TYPE[leaf]
    made = input_type(
        f"{name}Filter", f"Conditions on a value of type {name}; several hold together. Name at least one."
    )
    for operator in operators:
        operand: Any = annotation
        if operator in _SETS or operator is Operator.BETWEEN:
            operand = listed(annotation)
        elif operator is Operator.IS_NULL:
            operand = bool
        add(made, operator.value, operand, _DESCRIPTIONS[operator])
    return made


def read_operators(raw: Any, path: str) -> Iterator[tuple[Operator, Any]]:
    """Each (operator, hashable operand) of a client's ``{eq: …, gt: …}``; raises ``ValidationError`` with ``path``."""
    if not isinstance(raw, Mapping) or not raw:
        raise refused(path, "Name at least one operator, for instance {eq: …}, or leave the field out.")
    for name, value in raw.items():
        operator, where = Operator(name), f"{path}.{name}"
        if value is None:
            raise refused(where, "null is not a value to compare with. Use isNull: true to find what has no value.")
        yield operator, _OPERANDS.get(operator, _plain)(value, where)


def refused(path: str, message: str) -> ValidationError:
    """The error for a malformed argument at ``path``."""
    return ValidationError(
        f"The argument is not valid at {path}: {message}", details=[{"field": path, "message": message}]
    )


def _plain(value: Any, path: str) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str) and not bindable(value):
        raise refused(path, "The text has a NUL or half a surrogate pair. Send valid Unicode without NUL.")
    return value


def _list(value: list[Any], path: str) -> tuple[Any, ...]:
    if not 1 <= len(value) <= MOST_ITEMS:
        raise refused(path, f"Give 1 to {MOST_ITEMS} items.")
    return tuple(_plain(item, f"{path}[{index}]") for index, item in enumerate(value))


def _pair(value: list[Any], path: str) -> tuple[Any, ...]:
    if len(value) != 2:
        raise refused(path, "Give two items: [least, greatest].")
    return tuple(_plain(item, f"{path}[{index}]") for index, item in enumerate(value))


def _pattern(value: str, path: str) -> str:
    text: str = _plain(value, path)
    if (len(text) - len(text.rstrip("\\"))) % 2:
        raise refused(
            path, "The pattern ends in a single backslash, which has nothing to take as it is. Write \\\\ for one."
        )
    return text


_OPERANDS: Final[dict[Operator, Callable[[Any, str], Any]]] = {
    Operator.IN: _list,
    Operator.NOT_IN: _list,
    Operator.BETWEEN: _pair,
    Operator.LIKE: _pattern,
    Operator.ILIKE: _pattern,
}
