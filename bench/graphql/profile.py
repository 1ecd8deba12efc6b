"""Where a server's CPU time goes, by function: samples that py-spy takes while the load runs.

py-spy is no part of the project's tools: ``pip install py-spy`` anywhere on PATH.
"""

import asyncio
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.graphql.load import run
from bench.graphql.shapes import Shape
from bench.graphql.sides import Side

RATE: Final = 250
"""Samples a second: for each the server stands still for a moment, so that its stack is whole."""

SHOWN: Final = 45
_LOOP: Final = "Runner.run "
_OURS: Final = ("lakefront/", "starlette/", "uvicorn/", "redis/")
_PACKAGES: Final = re.compile(r"^.*/(?:site-packages|lib/python3\.\d+)/")
_console: Final = Console(width=150)


async def show(side: Side, shape: Shape, requests: Sequence[bytes], *, connections: int, seconds: float) -> None:
    """Print the functions in whose calls, and in which themselves, the microseconds of a request of ``shape`` go."""
    program = shutil.which("py-spy")
    if program is None:
        raise SystemExit("--profile needs py-spy on PATH: pip install py-spy")
    await run(side.url, requests, connections=connections, seconds=1, pid=side.pid)
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder) / "stacks"
        sampling = await asyncio.create_subprocess_exec(
            *(program, "record", "--format", "raw", "--rate", str(RATE), "--duration", str(max(1, round(seconds)))),
            *("--output", str(stacks), "--pid", str(side.pid)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        load = await run(side.url, requests, connections=connections, seconds=seconds, pid=side.pid)
        assert await sampling.wait() == 0, "py-spy failed: it needs the right to trace the process"
        own, whole, ours, samples = _counted(stacks.read_text())
    title = f"{side.name}: {shape.title}, {connections} connection(s): {load.cpu_each * 1000:,.0f} µs of CPU a request"
    table = Table(
        "with what it calls", "by itself", "function", title=f"{title}, {samples} samples", title_justify="left"
    )
    each = load.cpu_each * 1000 / samples
    for name, count in whole.most_common(SHOWN):
        table.add_row(f"{count * each:,.0f} µs", f"{own[name] * each:,.0f} µs", name)
    _console.print(table)
    files = Table("", "file", title="The same by file: ours, with the libraries it calls", title_justify="left")
    for name, count in ours.most_common(SHOWN):
        files.add_row(f"{count * each:,.0f} µs", name)
    _console.print(files)


class _Counted(NamedTuple):
    """Samples: by function itself, by function with what it calls, by file with the libraries it calls; all."""

    own: Counter[str]
    whole: Counter[str]
    files: Counter[str]
    samples: int


def _counted(text: str) -> _Counted:
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if not count.isdigit():
            continue
        frames = _below_the_loop([_function(frame) for frame in stack.split(";")])
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
        files[next((_file(frame) for frame in reversed(frames) if _file(frame).startswith(_OURS)), frames[0])] += int(
            count
        )
    return _Counted(own, whole, files, own.total())


def _file(frame: str) -> str:
    return frame.partition("  ")[2]


def _below_the_loop(frames: list[str]) -> list[str]:
    """The frames that a request adds; what is above it is one: the loop itself, with its system calls."""
    above = next((place for place, frame in enumerate(frames) if frame.startswith(_LOOP)), None)
    return frames if above is None else ["the event loop", *frames[above + 1 :]]


def _function(frame: str) -> str:
    """``name (path:line)`` without the line, the path within its package."""
    name, _, place = frame.partition(" (")
    return f"{name}  {_PACKAGES.sub('', place.rpartition(':')[0])}"
