"""What the commands share: options, settings, and a plain line for every failure that has an explanation."""

import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from lakefront.settings import Settings

T = TypeVar("T")

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder of embedded parts and keys.", show_default=".lakefront"),
]
Tenant = Annotated[str, typer.Option("--tenant", metavar="NAME", help="Whose data it is.")]


def settings_with(**options: Any) -> "Settings":
    """Return the settings of the environment with the options that were given (not ``None``) over them."""
    from lakefront.settings import Settings

    return Settings(**{name: value for name, value in options.items() if value is not None})


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end; Ctrl-C ends it, and its embedded parts, in order."""
    return asyncio.run(work)


def fail(message: str) -> typer.Exit:
    """Print why the command cannot go on and what to do; to be raised, for exit code 1."""
    typer.echo(f"lakefront: {message}", err=True)
    return typer.Exit(1)


def printable(text: object) -> str:
    """Return text from outside for a terminal: one line, without control characters."""
    return "".join(character if character.isprintable() else "?" for character in str(text))


def explain(error: Exception) -> str | None:
    """Return what to tell the user about an expected failure; ``None`` for a bug, which keeps its traceback."""
    import asyncpg
    from pydantic import ValidationError
    from pydantic_settings import SettingsError
    from sqlalchemy.exc import DBAPIError

    from lakefront.db.embedded import EmbeddedError
    from lakefront.errors import InternalError, LakefrontError
    from lakefront.server.load import LoadError

    match error:
        case ValidationError() if error.title == "Settings":
            said = "; ".join(map(_setting, error.errors(include_url=False, include_input=False)))
        case SettingsError():
            said = f"{_unread(error)} is not JSON. docs/settings.md tells what it holds, with an example"
        case InternalError():
            return None
        case EmbeddedError() | LoadError() | LakefrontError():
            said = str(error)
        case asyncpg.PostgresError() | asyncpg.InterfaceError():
            said = f"PostgreSQL says: {error}. See `lakefront doctor`."
        case DBAPIError():
            said = f"PostgreSQL says: {error.orig}. See `lakefront doctor`."
        case OSError():
            said = f"{error.strerror or error}. See `lakefront doctor`."
        case _:
            return None
    return printable(said)


def _setting(problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else "settings"
    shown = name if name.isupper() else f"LAKEFRONT_{name.upper()} (or its option)"
    return f"{shown}: {problem['msg']}. See docs/settings.md"


def _unread(error: Exception) -> str:
    """The variable that could not be read; pydantic names the field in its words alone."""
    named = re.search(r'field "(\w+)"', str(error))
    return f"LAKEFRONT_{named[1].upper()}" if named else str(error)
