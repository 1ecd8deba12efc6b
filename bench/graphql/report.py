"""The tables: a shape's figures with the ratios that the issue's goals are about, and all ratios at the end."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.graphql.load import Load
from bench.graphql.measure import Ratio, medians, ratio
from bench.graphql.shapes import Goal, Shape
from bench.graphql.sides import FLOOR, LAKEFRONT, POSTGRAPHILE

_console: Final = Console(width=150)
_lines: Final[list[tuple[str, ...]]] = []


def show(shape: Shape, connections: int, seen: Mapping[str, Sequence[Load]]) -> None:
    """Print one shape at so many connections."""
    table = Table(
        *("", "requests/s", "p50", "p99", "CPU a request", "answer"),
        title=f"{shape.title}, {connections} connection(s)",
        title_justify="left",
    )
    for name, loads in seen.items():
        one = medians(loads)
        table.add_row(
            *(name, f"{one.rate:,.0f}", f"{one.p50:.2f} ms", f"{one.p99:.2f} ms"),
            *(f"{one.cpu:.3f} ms", f"{one.size:,.0f} B"),
        )
    _console.print(table)
    _lines.append((shape.title, str(connections), *_ratios(seen, shape.goal(connections))))


def summary() -> None:
    """Print Lakefront's ratios over all that was measured: medians, least and greatest of the rounds."""
    if any(any(line[2:]) for line in _lines):
        table = Table(
            *("Lakefront", "connections", "requests/s of PostGraphile's", "of the floor's", "CPU of the floor's"),
            *("p99 of PostGraphile's",),
        )
        for line in _lines:
            table.add_row(*line)
        _console.print(table)


def _ratios(seen: Mapping[str, Sequence[Load]], goal: Goal | None) -> tuple[str, ...]:
    ours, theirs, floor = (seen.get(name) for name in (LAKEFRONT, POSTGRAPHILE, FLOOR))
    if ours is None:
        return "", "", "", ""
    return (
        _against(ratio(ours, theirs, _rate), goal.times if goal else None, least=True) if theirs else "",
        str(ratio(ours, floor, _rate)) if floor else "",
        _against(ratio(ours, floor, _cpu), goal.cpu if goal else None, least=False) if floor else "",
        str(ratio(ours, theirs, _p99)) if theirs else "",
    )


def _rate(load: Load) -> float:
    return load.rate


def _cpu(load: Load) -> float:
    return load.cpu_each


def _p99(load: Load) -> float:
    return load.percentile(0.99)


def _against(found: Ratio, goal: float | None, *, least: bool) -> str:
    if goal is None:
        return str(found)
    reached = found.median >= goal if least else found.median <= goal
    return f"{found} {'reached' if reached else 'missed'}: {'≥' if least else '≤'} {goal}"
