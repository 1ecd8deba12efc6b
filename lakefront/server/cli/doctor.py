"""``lakefront doctor``: what the server would find here, and what to do about it."""

from typing import TYPE_CHECKING

import typer

from lakefront.server.cli.common import Data, printable, run, settings_with

if TYPE_CHECKING:
    from rich.table import Table

    from lakefront.server.cli.examine import Finding


def doctor(data: Data = None) -> None:
    """Examine the parts: which are embedded, reachable and up to date. Exit code 1 if the server could not start."""
    settings = settings_with(data=data)
    from rich.console import Console

    from lakefront.server.cli.examine import examine

    findings = run(examine(settings))
    Console().print(_table(findings))
    for finding in findings:
        for said in filter(None, (finding.advice, finding.note)):
            typer.echo(f"{finding.part}: {printable(said)}")
    if any(finding.fatal for finding in findings):
        raise typer.Exit(1)


def _table(findings: list["Finding"]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "part", "where", "state")
    for finding in findings:
        mark = "[red]✗[/]" if finding.fatal else "[yellow]![/]" if finding.advice else "[green]✓[/]"
        table.add_row(mark, finding.part, escape(printable(finding.place)), escape(printable(finding.state)))
    return table
