"""Credentials as a command takes them: typed unseen on a terminal, by lines of its input elsewhere; never arguments."""

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import typer

from lakefront.server.cli.common import fail

if TYPE_CHECKING:
    from lakefront.domain.integrations import CredentialState

MOST_LINES: Final = 100


def on_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def ask_credentials(title: str, credentials: "Iterable[CredentialState]") -> dict[str, str | None]:
    """Those that were given, by their names; on a terminal each is asked for, and Enter leaves it as it is."""
    known = list(credentials)
    if not on_terminal():
        return _given(title, [state.name for state in known])
    found: dict[str, str | None] = {}
    for state in known:
        now = f"set {state.set_at:%Y-%m-%d}, Enter keeps it" if state.set_at else "Enter: none"
        what = f"{title}, {state.description or state.name} ({now})"
        if value := typer.prompt(what, default="", show_default=False, hide_input=True, err=True).strip():
            found[state.name] = value
    return found


def ask(what: str, given: str | None, default: str) -> str | None:
    """What was given as an option, or is typed on a terminal where it is not; ``None`` to leave it as it is."""
    if given is not None or not on_terminal():
        return given
    answer: str = typer.prompt(what, default=default, err=True)
    return None if answer == default else answer.strip()


def _given(title: str, names: list[str]) -> dict[str, str | None]:
    """``name=value`` lines of the input."""
    found: dict[str, str | None] = {}
    for number, line in enumerate(_lines(), start=1):
        name, mark, value = line.partition("=")
        if not mark or name.strip() not in names:
            # The line is not shown: it may be a secret without its name.
            raise fail(
                f"Line {number} of the input is no NAME=VALUE of {title}. The names: {', '.join(names) or 'none'}."
            )
        found[name.strip()] = value.strip()
    return found


def _lines() -> list[str]:
    lines = [line.strip() for line in sys.stdin.read(1_000_000).splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        raise fail(f"The input has more than {MOST_LINES} lines. Give a line NAME=VALUE for each credential.")
    return lines


def shown(credentials: "Iterable[CredentialState]") -> str:
    """Which are set, for people."""
    names: Mapping[bool, list[str]] = {True: [], False: []}
    for state in credentials:
        if state.set_at or state.required:
            names[state.set_at is not None].append(state.name)
    parts = [("set: ", names[True]), ("MISSING: ", names[False])]
    return ", ".join(head + " ".join(found) for head, found in parts if found) or "no credentials"
