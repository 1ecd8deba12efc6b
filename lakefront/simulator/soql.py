"""SoQL, as much of it as importers speak: select, where, group by count, order, limit and offset.

Conditions: ``= != <> < <= > >=``, ``LIKE``, ``IN``, ``BETWEEN``, ``IS [NOT] NULL``, ``starts_with``, ``upper``,
``lower``, with ``AND``, ``OR``, ``NOT`` and brackets. Everything else is refused, as a mistake would be.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Row = Mapping[str, Any]
Condition = Callable[[Row], bool]
Value = Callable[[Row], Any]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>:?[A-Za-z_][\w]*|:?\*|`:?[\w]+`)"
    r"|(?P<sign><=|>=|<>|!=|[=<>(),]))"
)
_CLAUSES: Final = re.compile(r"\b(select|where|group\s+by|order\s+by|limit|offset)\b(?=(?:[^']*'[^']*')*[^']*$)", re.I)

_SIGNS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class NotSoql(Exception):
    """The query cannot be understood, or names a column that is not there; ``code`` is Socrata's."""

    def __init__(self, message: str, code: str = "query.compiler.malformed") -> None:
        self.code = code
        super().__init__(message)


@dataclass(slots=True)
class Query:
    """A query, read: what to show, which rows, in which order, how many."""

    columns: list[tuple[str, str]] = field(default_factory=lambda: [("*", "*")])
    """Names and what they are called in the answer; ``*``, ``:*`` and ``count(*)`` are names as well."""
    where: Condition | None = None
    group: list[str] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    """Columns, and whether downwards."""
    limit: int | None = None
    offset: int = 0


def clauses(statement: str) -> dict[str, str]:
    """The clauses of ``SELECT … WHERE …`` by their names (``group``, ``order``, …); raises ``NotSoql``."""
    parts = _CLAUSES.split(statement.strip())
    if parts[0].strip():
        raise NotSoql(f"Could not parse SoQL query: {statement[:80]!r}")
    return {name.split()[0].lower(): text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def read(parts: Mapping[str, str], columns: Iterable[str]) -> Query:
    """Read clauses by their names, over a table with these columns; raises ``NotSoql``."""
    known = {*columns}
    query = Query()
    if parts.get("select"):
        query.columns = _Parser(parts["select"], known).columns()
    if parts.get("where"):
        query.where = _Parser(parts["where"], known).condition()
    if parts.get("group"):
        query.group = [name for name, _ in _Parser(parts["group"], known).columns()]
    if parts.get("order"):
        query.order = _Parser(parts["order"], known).order()
    query.limit = _whole(parts["limit"], "limit") if parts.get("limit") else None
    query.offset = _whole(parts["offset"], "offset") if parts.get("offset") else 0
    return query


def run(query: Query, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The answer's rows; what is null is left out, as Socrata does it."""
    found: Sequence[Row] = rows if query.where is None else [row for row in rows if query.where(row)]
    if query.group or any(name == "count(*)" for name, _ in query.columns):
        found = _grouped(query, found)
    for name, downwards in reversed(query.order):
        found = sorted(found, key=lambda row: _key(row.get(name)), reverse=downwards)
    end = None if query.limit is None else query.offset + query.limit
    return [_shown(query, row) for row in found[query.offset : end]]


def _shown(query: Query, row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, alias in query.columns:
        if name in {"*", ":*"}:
            system = name == ":*"
            shown |= {key: value for key, value in row.items() if key.startswith(":") is system and value is not None}
        elif row.get(name) is not None:
            shown[alias] = row[name]
    return shown


def _grouped(query: Query, rows: Iterable[Row]) -> list[Row]:
    groups: dict[tuple[Any, ...], int] = {}
    for row in rows:
        key = tuple(row.get(name) for name in query.group)
        groups[key] = groups.get(key, 0) + 1
    if not query.group:
        groups = groups or {(): 0}
    alias = next((alias for name, alias in query.columns if name == "count(*)"), "count")
    return [
        {**dict(zip(query.group, key, strict=True)), "count(*)": str(count), alias: count}
        for key, count in groups.items()
    ]


def _key(value: Any) -> tuple[int, float, str]:
    """Nulls last, numbers by their size, all else by its text."""
    if value is None:
        return 2, 0.0, ""
    number = _number(value)
    return (0, number, "") if number is not None else (1, 0.0, str(value))


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise NotSoql(f"Invalid value for {name}: {text[:20]!r}", "query.soql.invalid-limit")
    return int(text)


class _Parser:
    """Reads one clause, a token at a time."""

    def __init__(self, text: str, columns: set[str]) -> None:
        self._text = text
        self._columns = columns
        self._tokens: list[tuple[str, str]] = []
        self._place = 0
        end = 0
        while text[end:].strip():
            matched = _TOKEN.match(text, end)
            if matched is None:
                raise NotSoql(f"Could not parse SoQL query near {text[end : end + 20]!r}")
            self._tokens.append((str(matched.lastgroup), matched[str(matched.lastgroup)].strip("`")))
            end = matched.end()

    def columns(self) -> list[tuple[str, str]]:
        """``a, b as c, count(*), *``."""
        found = []
        while True:
            name = self._take("name")
            if name.lower() == "count" and self._is("("):
                self._sign("(")
                self._take("name")
                self._sign(")")
                name, alias = "count(*)", "count"
            else:
                alias = name if name in {"*", ":*"} else self._column(name)
            found.append((name, self._take("name") if self._word("as") else alias))
            if not self._is(","):
                self._end()
                return found
            self._sign(",")

    def order(self) -> list[tuple[str, bool]]:
        """``a, b desc``."""
        found = []
        while True:
            name = self._take("name")
            if name.lower() == "count" and self._is("("):
                self._sign("(")
                self._take("name")
                self._sign(")")
                name = "count(*)"
            elif name not in self._columns and name.lower() not in {"count", "total"}:
                self._column(name)
            downwards = self._word("desc")
            if not downwards:
                self._word("asc")
            found.append((name, downwards))
            if not self._is(","):
                self._end()
                return found
            self._sign(",")

    def condition(self) -> Condition:
        """The whole clause as a condition."""
        found = self._either()
        self._end()
        return found

    def _either(self) -> Condition:
        found = self._both()
        while self._word("or"):
            found = _or(found, self._both())
        return found

    def _both(self) -> Condition:
        found = self._one()
        while self._word("and"):
            found = _and(found, self._one())
        return found

    def _one(self) -> Condition:
        if self._word("not"):
            inner = self._one()
            return lambda row: not inner(row)
        if self._is("("):
            self._sign("(")
            found = self._either()
            self._sign(")")
            return found
        if self._peek() == ("name", "starts_with"):
            self._take("name")
            self._sign("(")
            value = self._value()
            self._sign(",")
            start = self._value()
            self._sign(")")
            return lambda row: str(value(row) or "").startswith(str(start(row)))
        return self._compared(self._value())

    def _compared(self, left: Value) -> Condition:
        if self._word("is"):
            wanted = not self._word("not")
            if not self._word("null"):
                raise NotSoql("Expected NULL after IS")
            return lambda row: (left(row) is None) is wanted
        denied = self._word("not")
        if self._word("like"):
            pattern = self._value()
            found: Condition = lambda row: _like(left(row), pattern(row))  # noqa: E731 - one of three ends
        elif self._word("in"):
            values = self._list()
            found = lambda row: any(_same(left(row), value(row)) for value in values)  # noqa: E731
        elif self._word("between"):
            low = self._value()
            if not self._word("and"):
                raise NotSoql("Expected AND after BETWEEN")
            high = self._value()
            found = lambda row: _compare(left(row), ">=", low(row)) and _compare(left(row), "<=", high(row))  # noqa: E731
        else:
            sign = self._take("sign")
            right = self._value()
            found = lambda row: _compare(left(row), sign, right(row))  # noqa: E731
        return (lambda row: not found(row)) if denied else found

    def _list(self) -> list[Value]:
        self._sign("(")
        values = [self._value()]
        while self._is(","):
            self._sign(",")
            values.append(self._value())
        self._sign(")")
        return values

    def _value(self) -> Value:
        kind, text = self._peek()
        if kind in {"text", "number"}:
            self._place += 1
            literal = text[1:-1].replace("''", "'") if kind == "text" else text
            return lambda _: literal
        name = self._take("name")
        if name.lower() in {"upper", "lower"} and self._is("("):
            self._sign("(")
            inner = self._value()
            self._sign(")")
            change = str.upper if name.lower() == "upper" else str.lower
            return lambda row: None if inner(row) is None else change(str(inner(row)))
        column = self._column(name)
        return lambda row: row.get(column)

    def _column(self, name: str) -> str:
        if name not in self._columns:
            raise NotSoql(f"No such column: {name[:60]}", "query.soql.no-such-column")
        return name

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "")

    def _take(self, kind: str) -> str:
        found, text = self._peek()
        if found != kind:
            raise NotSoql(
                f"Could not parse SoQL query: expected a {kind} instead of {text[:20]!r} in {self._text[:60]!r}"
            )
        self._place += 1
        return text

    def _is(self, sign: str) -> bool:
        return self._peek() == ("sign", sign)

    def _sign(self, sign: str) -> None:
        if self._take("sign") != sign:
            raise NotSoql(f"Could not parse SoQL query: expected {sign!r} in {self._text[:60]!r}")

    def _word(self, word: str) -> bool:
        kind, text = self._peek()
        if kind == "name" and text.lower() == word:
            self._place += 1
            return True
        return False

    def _end(self) -> None:
        if self._place < len(self._tokens):
            raise NotSoql(f"Could not parse SoQL query near {self._peek()[1][:20]!r}")


def _and(left: Condition, right: Condition) -> Condition:
    return lambda row: left(row) and right(row)


def _or(left: Condition, right: Condition) -> Condition:
    return lambda row: left(row) or right(row)


def _same(left: Any, right: Any) -> bool:
    return _compare(left, "=", right)


def _compare(left: Any, sign: str, right: Any) -> bool:
    """Numbers as numbers, all else as text (times sort as such); with null nothing is true."""
    if sign not in _SIGNS:
        raise NotSoql(f"Could not parse SoQL query: {sign!r} compares nothing")
    if left is None or right is None:
        return False
    one, other = _number(left), _number(right)
    if one is not None and other is not None:
        return bool(_SIGNS[sign](one, other))
    return bool(_SIGNS[sign](str(left), str(right)))


def _like(value: Any, pattern: Any) -> bool:
    if value is None or pattern is None:
        return False
    parts = re.split(r"([%_])", str(pattern))
    shape = "".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(shape, str(value), re.DOTALL) is not None
