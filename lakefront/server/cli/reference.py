"""``lakefront schema`` and ``lakefront settings``: reference pages made from the code."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from lakefront.server.cli.common import fail

Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there instead of printing.")]


def schema(out: Out = None) -> None:
    """Print the GraphQL schema (SDL)."""
    from lakefront.graphql.schema import build_schema

    _give(build_schema().as_str(), out)


def settings(out: Out = None) -> None:
    """Print every setting with its default and meaning (docs/settings.md)."""
    _give(settings_page(), out)


def settings_page() -> str:
    """Return the page of all settings, in Markdown."""
    from lakefront.settings import Settings

    rows = [
        f"| `{_variable(name, field)}` | {_default(field.default)} | {field.description}{_choices(field.annotation)} |"
        for name, field in Settings.model_fields.items()
    ]
    lines = [
        "# Settings",
        "",
        "Made by `lakefront settings --out docs/settings.md`; a test fails when a setting is missing here.",
        "",
        "All are environment variables, read once at the start; an option (`--host`, `--port`, `--data`) goes before",
        "its variable.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
        *rows,
        "",
        "`lakefront load` reads one more, `LAKEFRONT_TOKEN`: a secret of the client, which the server never needs.",
    ]
    return "\n".join(lines)


def _variable(name: str, field: Any) -> str:
    alias = field.validation_alias
    return str(alias.choices[0]) if alias is not None else f"LAKEFRONT_{name.upper()}"


def _choices(annotation: Any) -> str:
    """The values that there are, where a setting takes but a few."""
    literal = next((part for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal), None)
    return f" One of {', '.join(f'`{value}`' for value in get_args(literal))}." if literal is not None else ""


def _default(value: object) -> str:
    return "unset" if value is None or value == () else f"`{value}`"


def _give(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text)
        return
    try:
        out.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise fail(f"{out} cannot be written ({error.strerror}). Choose another file with --out.") from error
