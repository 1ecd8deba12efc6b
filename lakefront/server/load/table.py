"""Reading a published file: rows of a CSV text, their cells as values, and what is wrong with them."""

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lakefront.server.load import LoadError
from lakefront.server.load.cells import CellError, text

Sent = dict[str, Any]
"""JSON values, as a door takes them."""

Parse = Callable[[str], Any]

Read = Callable[[Mapping[str, str]], tuple[list[Sent], list[tuple[str, str]]]]
"""From a row (column -> text) to what is sent of it, and its problems as (column, reason): one list or the other."""


class Field(NamedTuple):
    """Where a value of what is sent comes from."""

    member: str
    column: str
    parse: Parse = text


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row was skipped: the line of the file on which the row begins (1 is the header), the column, the reason."""

    line: int
    column: str | None
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.reason}" if self.column else f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file: what is sent of it, or the problems for which it is skipped."""

    line: int
    events: list[Sent] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_rows(lines: Iterable[str], needed: Collection[str], data_set: str, read: Read) -> Iterator[Row]:
    """Yield every row of a CSV text, one at a time (constant memory), as ``read`` takes its cells.

    Raises ``LoadError`` where the header lacks a column that is ``needed``: it is no file of ``data_set``.

    ``lines`` come from a file opened with ``newline=""`` and ``errors="surrogateescape"``, so that one broken
    character costs one row.
    """
    reader = csv.reader(lines, strict=True)
    header = _header(reader, needed, data_set)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Row(line, problems=[Problem(line, None, f"is not well-formed CSV ({error})")])
            continue
        if cells is None:
            return
        if not any(cells):
            continue  # a blank line
        if len(cells) != len(header):
            reason = f"has {len(cells)} cells, the header has {len(header)}"
            yield Row(line, problems=[Problem(line, None, reason)])
            continue
        events, problems = read(dict(zip(header, cells, strict=True)))
        yield Row(line, events, [Problem(line, column, reason) for column, reason in problems])


def _header(reader: Iterator[list[str]], needed: Collection[str], data_set: str) -> list[str]:
    try:
        header = [title.removeprefix("\ufeff").strip() for title in next(reader, [])]
    except csv.Error as error:
        raise LoadError(f"The first line is not CSV ({error}). Export the file as CSV with a header.") from error
    missing = [title for title in needed if title not in header]
    if missing:
        raise LoadError(f"The header lacks {', '.join(missing)}. Export {data_set} as CSV, all columns.")
    twice = sorted({title for title in header if header.count(title) > 1})
    if twice:
        raise LoadError(f"The header names {', '.join(twice)} more than once. Keep one of each.")
    return header


class Reading:
    """A row being read: values come out, problems gather."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self.cells = cells
        self.problems: list[tuple[str, str]] = []

    def get(self, column: str, parse: Parse) -> Any:
        """Return the cell's value; ``None`` if it is empty, not there, or wrong (which is noted once)."""
        cell = self.cells.get(column, "").strip()
        if not cell:
            return None
        try:
            return parse(cell)
        except CellError as error:
            problem = (column, f"{shown(cell)} {error}")
            if problem not in self.problems:
                self.problems.append(problem)
            return None

    def need(self, column: str, parse: Parse) -> Any:
        """Return the cell's value; an empty one is a problem."""
        if not self.cells.get(column, "").strip():
            self.problems.append((column, "is empty"))
        return self.get(column, parse)

    def fields(self, fields: Iterable[Field]) -> dict[str, Any]:
        """Return the values of those fields whose column the file has."""
        return {member: self.get(column, parse) for member, column, parse in fields if column in self.cells}


def shown(cell: str) -> str:
    """Return a cell for a message: quoted, short, printable."""
    return ascii(cell if len(cell) <= 40 else f"{cell[:37]}...")
