"""One shape on all sides: the prepared requests, the interleaved rounds, their medians."""

import asyncio
import statistics
from collections.abc import Callable, Mapping, Sequence
from difflib import unified_diff
from itertools import islice
from pprint import pformat
from typing import Any, Final, NamedTuple

from bench.graphql.load import Load, run
from bench.graphql.shapes import Shape, found
from bench.graphql.sides import Side

WARM_UP: Final = 0.5
"""Seconds of load before the first round of a side: plans, statements and compiled code are made then."""

PAGES: Final = 4
"""Pages that are asked for of each value, so that cursors differ too."""


class Figures(NamedTuple):
    """Medians over the rounds."""

    rate: float
    p50: float
    p99: float
    cpu: float
    size: float
    """Bytes of an answer's body."""


class Ratio(NamedTuple):
    """One side's figure by another's, round by round: the median, the least and the greatest."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.greatest:.2f})"


class Different(AssertionError):
    """Two servers gave different rows to the same question: what they cost cannot be compared."""


async def prepared(side: Side, shape: Shape, values: Sequence[str]) -> list[bytes]:
    """The requests of ``shape`` for all ``values``; of a page also those after the first."""
    if not shape.paged:
        return [side.request(shape, {"value": value}) for value in values]
    requests = []
    for value in values:
        after = None
        for _ in range(PAGES):
            variables = {"value": value, "after": after}
            requests.append(side.request(shape, variables))
            after = (await side.ask(shape, variables))["found"]["pageInfo"]["endCursor"]
    return requests


async def check_same(sides: Sequence[Side], shape: Shape, values: Sequence[str]) -> None:
    """Raise ``Different`` unless every side has the same rows for a few values, and some rows at all."""
    for value in values[:3]:
        rows = {side.name: await _rows(side, shape, value) for side in sides}
        first = next(iter(rows.values()))
        assert first, f"{shape.name}: no rows for {value}"
        for name, others in rows.items():
            if others != first:
                one, other = pformat(first, width=200).splitlines(), pformat(others, width=200).splitlines()
                told = islice(unified_diff(one, other, sides[0].name, name, lineterm=""), 40)
                raise Different("\n".join((f"{shape.name} of {value}:", *told)))


async def _rows(side: Side, shape: Shape, value: str) -> Any:
    variables: dict[str, Any] = {"value": value}
    if not shape.paged:
        return found(await side.ask(shape, variables))
    first = await side.ask(shape, {**variables, "after": None})
    return found(first), found(await side.ask(shape, {**variables, "after": first["found"]["pageInfo"]["endCursor"]}))


class Plan(NamedTuple):
    """How a shape is measured: ``rounds`` runs of each side, each of ``seconds`` after a ``pause`` of so many."""

    connections: int
    seconds: float
    rounds: int
    pause: float


async def rounds(sides: Sequence[Side], requests: Mapping[str, Sequence[bytes]], plan: Plan) -> dict[str, list[Load]]:
    """What was seen of A, B, C, A, B, C …: so a busy moment of the machine hits all alike."""
    seen: dict[str, list[Load]] = {side.name: [] for side in sides}
    for number in range(plan.rounds):
        for side in sides:
            await asyncio.sleep(plan.pause)
            if not number:
                await _run(side, requests, plan.connections, min(WARM_UP, plan.seconds))
            seen[side.name].append(await _run(side, requests, plan.connections, plan.seconds))
    return seen


def ratio(ours: Sequence[Load], theirs: Sequence[Load], figure: Callable[[Load], float]) -> Ratio:
    """How ``figure`` of ours compares with theirs in the same round, when the machine was as busy."""
    found = [figure(one) / figure(other) for one, other in zip(ours, theirs, strict=True)]
    return Ratio(statistics.median(found), min(found), max(found))


async def _run(side: Side, requests: Mapping[str, Sequence[bytes]], connections: int, seconds: float) -> Load:
    return await run(side.url, requests[side.name], connections=connections, seconds=seconds, pid=side.pid)


def medians(loads: Sequence[Load]) -> Figures:
    """The medians of ``loads``."""
    return Figures(
        statistics.median(load.rate for load in loads),
        statistics.median(load.percentile(0.5) for load in loads),
        statistics.median(load.percentile(0.99) for load in loads),
        statistics.median(load.cpu_each for load in loads),
        statistics.median(load.size / load.answers for load in loads),
    )
