"""The tables: a shape's figures with the ratios that the issue's goals are about, and all ratios at the end."""

from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.graphql.measure import Figures
from bench.graphql.shapes import Goal, Shape
from bench.graphql.sides import FLOOR, LAKEFRONT, POSTGRAPHILE

_console: Final = Console(width=130)
_lines: Final[list[tuple[str, ...]]] = []


def show(shape: Shape, connections: int, figures: Mapping[str, Figures]) -> None:
    """Print one shape at so many connections."""
    table = Table(
        *("", "requests/s", "± of it", "p50", "p99", "CPU a request", "answer"),
        title=f"{shape.title}, {connections} connection(s)",
        title_justify="left",
    )
    for name, one in figures.items():
        table.add_row(
            *(name, f"{one.rate:,.0f}", f"{one.spread:.0%}", f"{one.p50:.2f} ms", f"{one.p99:.2f} ms"),
            *(f"{one.cpu:.3f} ms", f"{one.size:,.0f} B"),
        )
    _console.print(table)
    _lines.append((shape.title, str(connections), *_ratios(figures, shape.goal(connections))))


def summary() -> None:
    """Print Lakefront's ratios over all that was measured."""
    if any(any(line[2:]) for line in _lines):
        table = Table(
            *("Lakefront", "connections", "requests/s of PostGraphile's", "of the floor's", "CPU of the floor's"),
            *("p99 of PostGraphile's",),
        )
        for line in _lines:
            table.add_row(*line)
        _console.print(table)


def _ratios(figures: Mapping[str, Figures], goal: Goal | None) -> tuple[str, ...]:
    ours, theirs, floor = (figures.get(name) for name in (LAKEFRONT, POSTGRAPHILE, FLOOR))
    if ours is None:
        return "", "", "", ""
    times = ours.rate / theirs.rate if theirs else None
    cpu = ours.cpu / floor.cpu if floor else None
    return (
        _against(times, goal.times if goal else None, least=True),
        f"{ours.rate / floor.rate:.2f}" if floor else "",
        _against(cpu, goal.cpu if goal else None, least=False),
        f"{ours.p99 / theirs.p99:.2f}" if theirs else "",
    )


def _against(ratio: float | None, goal: float | None, *, least: bool) -> str:
    if ratio is None:
        return ""
    if goal is None:
        return f"{ratio:.2f}"
    reached = ratio >= goal if least else ratio <= goal
    return f"{ratio:.2f} ({'reached' if reached else 'missed'}: {'≥' if least else '≤'} {goal})"
