"""The command line, a file for each command; what a command needs is imported when it runs: ``--help`` is quick."""

from typing import Annotated

import typer

from lakefront import __version__
from lakefront.server.cli import (
    api_key,
    database,
    dead_letters,
    doctor,
    documents,
    explain,
    ingest_token,
    integrations,
    load,
    open_data,
    rebuild,
    reference,
    serve,
    simulate,
    tenant,
    token,
    verify,
)

app = typer.Typer(
    name="lakefront",
    help="A GraphQL-first data lake server for a city and its businesses.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lakefront {__version__}")
        raise typer.Exit


@app.callback()
def lakefront(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Declare the options that come before a command."""


app.command()(serve.serve)
app.command()(database.migrate)
app.command()(token.token)
app.add_typer(ingest_token.app)
app.add_typer(api_key.app)
app.add_typer(tenant.app)
app.add_typer(documents.app)
app.command()(integrations.add_city)
app.add_typer(integrations.app)
app.add_typer(dead_letters.app)
app.command()(explain.explain)
app.add_typer(load.app)
app.add_typer(open_data.app)
app.add_typer(simulate.app)
app.add_typer(rebuild.app)
app.add_typer(verify.app)
app.command()(reference.schema)
app.command()(reference.settings)
app.command()(doctor.doctor)
