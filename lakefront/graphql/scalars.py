"""The scalars, in PostgreSQL's text forms: what the planner's SQL writes and what resolvers write is the same."""

import re
from datetime import UTC, date, datetime
from typing import Any, Final, NewType

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

BigInt = NewType("BigInt", int)
"""A 64-bit integer."""

Secret = NewType("Secret", str)
"""A text that nobody is to see again: it comes in variables alone, as documents are kept and told."""

_MOST = 2**63
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)


def timestamp_text(value: datetime) -> str:
    """``value`` (aware) as PostgreSQL's JSON writes it in UTC: ``2024-01-15T10:30:00.5+00:00``."""
    text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "+00:00"


def parse_timestamp(value: Any) -> datetime:
    """RFC 3339 with a zone, at most six digits of fraction; raises ``ValueError``."""
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise ValueError(
            "A DateTime is text in RFC 3339 with a zone and at most 6 digits of fraction: 2024-01-15T10:30:00.5+00:00."
        )
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"There is no such point in time as {value}.") from None


def parse_date(value: Any) -> date:
    """A calendar date, ``2024-01-15``; raises ``ValueError``."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("A Date is text like 2024-01-15.")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"There is no such date as {value}.") from None


def parse_big_int(value: Any) -> int:
    """An integer of 64 bits, as text or as a number; raises ``ValueError``."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -_MOST <= value < _MOST:
        raise ValueError('A BigInt is a 64-bit integer, best as text: "9007199254740993".')
    return value


def parse_secret(value: Any) -> str:
    """A text; raises ``ValueError``."""
    if not isinstance(value, str):
        raise ValueError("A Secret is text.")  # noqa: TRY004 - as graphql-core wants it
    return value


def _no_literal(node: Any, variables: Any = None) -> str:
    """Documents are remembered by their text, here and in Redis; what a variable says is not."""
    del node, variables
    raise GraphQLError("A Secret is given by a variable, never within the document, which is kept.")


def _timestamp(value: Any) -> Any:
    return timestamp_text(value) if isinstance(value, datetime) else value


def _date(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _same(value: Any) -> Any:
    return value


SCALARS: Final[dict[object, ScalarDefinition]] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A point in time in RFC 3339, in UTC and to the microsecond, trailing zeros trimmed: "
        "`2024-01-15T10:30:00.5+00:00`. Input may have any offset, but must have one.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_timestamp,
        parse_value=parse_timestamp,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A calendar date: `2024-01-15`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_date,
        parse_value=parse_date,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A 64-bit integer, written as text, since JSON numbers are exact only up to 2^53 for many readers.",
        serialize=str,
        parse_value=parse_big_int,
    ),
    Secret: strawberry.scalar(
        name="Secret",
        description="A text that nobody is told again, such as a key. It is given by a variable alone: documents are "
        "kept, and a document with a literal one is refused.",
        serialize=_same,
        parse_value=parse_secret,
        parse_literal=_no_literal,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value, as it is.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=_same,
        parse_value=_same,
    ),
}
"""Python type -> scalar, for Strawberry's ``scalar_map``."""
