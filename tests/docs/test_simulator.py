"""The simulator's page tells of every system, limit, fault and path there is, and its commands hold."""

import re

from lakefront.simulator import Kind, Simulator
from lakefront.simulator.control import Control
from lakefront.simulator.faults import parse
from tests.process import ROOT

PAGE = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, str]:
    """The rows of the table below a heading: first cell to the whole row."""
    part = PAGE.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    return {row.split("|")[1].strip().strip("`"): row for row in re.findall(r"^\| `.*", part, re.MULTILINE)}


def test_every_system_is_told_with_its_forms_and_limits() -> None:
    simulator, told = Simulator(), rows("What it plays")
    assert told.keys() == {f"/{name}" for name in simulator.systems}
    for name, system in simulator.systems.items():
        for rates in system.limits.values():
            assert rates in told[f"/{name}"], name


def test_every_kind_of_fault_is_told() -> None:
    assert rows("Faults").keys() == {kind.value for kind in Kind}


def test_every_control_path_is_told() -> None:
    simulator = Simulator()
    routes = Control(simulator, simulator.systems, simulator.endpoints).routes()
    there = {(method, f"/_control{route.path}") for route in routes for method in (route.methods or set()) - {"HEAD"}}
    told = set()
    for cell in rows("Steering it"):
        *methods, path = cell.split()
        told |= {(method, path) for method in methods}
    assert told == there


def test_the_faults_of_the_command_hold() -> None:
    (shown,) = re.findall(r"--faults '([^']+)'", PAGE)
    assert len(parse(shown)) == 3
