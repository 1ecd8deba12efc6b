"""``lakefront documents …``: which GraphQL documents the operator trusts (L16)."""

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakefront.server.cli.common import Data, fail, printable, run, settings_with

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lakefront.db.database import Database
    from lakefront.domain.documents.sync import Report, Stored
    from lakefront.settings import Settings

app = typer.Typer(name="documents", help="Trust GraphQL documents, which clients name by a hash.", no_args_is_help=True)

Folder = Annotated[
    Path,
    typer.Argument(metavar="DIR", exists=True, file_okay=False, help="Its *.json (manifests) and *.graphql are read."),
]

Hashes = Annotated[list[str], typer.Argument(metavar="HASH…", help="SHA-256 of documents, as the list shows them.")]


@app.command()
def sync(
    folder: Folder,
    *,
    prune: Annotated[bool, typer.Option("--prune", help="Trust no others any more.")] = False,
    data: Data = None,
) -> None:
    """Check the documents in DIR against the schema and store them: on every server they are trusted at once."""
    settings = settings_with(data=data)
    from lakefront.actor import system_actor
    from lakefront.domain.documents.folder import read_folder
    from lakefront.domain.documents.sync import sync as store
    from lakefront.errors import ValidationError
    from lakefront.graphql.schema import build_schema
    from lakefront.server.documents import checker

    async def work() -> "Report":
        found = read_folder(folder)
        check = checker(build_schema(), settings)
        async with _provisioner(settings) as provisioner:
            return await store(provisioner, system_actor(), found, check, prune=prune)

    try:
        report = run(work())
    except ValidationError as wrong:
        for detail in wrong.details:
            typer.echo(printable(f"{detail['field']}: {detail['message']}"), err=True)
        raise fail(printable(wrong.message)) from wrong
    lists = {"added": report.added, "removed": report.removed, "left": report.left}
    for what, documents in lists.items():
        for document in documents:
            typer.echo(f"{what:<8} {_line(document)}")
    typer.echo(f"{len(report.added)} added, {len(report.kept)} kept, {len(report.removed)} removed", err=True)
    if report.left:
        typer.echo(f"{len(report.left)} more are trusted that are not in {folder}; --prune removes them", err=True)


@app.command()
def remove(hashes: Hashes, *, data: Data = None) -> None:
    """Trust single documents no more: on every server they are refused at once. All of them, or none."""
    settings = settings_with(data=data)
    from lakefront.actor import system_actor
    from lakefront.domain.documents.hashes import read_hash
    from lakefront.domain.documents.sync import remove as take_back

    wanted: list[bytes] = []
    for text in hashes:
        sha256 = read_hash(text.lower())
        if sha256 is None:
            raise fail(f"'{printable(text)}' is no SHA-256 in hex. Copy it from: lakefront documents list")
        wanted.append(sha256)

    async def work() -> "list[Stored]":
        async with _provisioner(settings) as provisioner:
            return await take_back(provisioner, system_actor(), wanted)

    for document in run(work()):
        typer.echo(f"{'removed':<8} {_line(document)}")


@app.command("list")
def list_documents(*, data: Data = None) -> None:
    """Show the documents that are trusted, by name."""
    settings = settings_with(data=data)
    from lakefront.actor import system_actor
    from lakefront.domain.documents.sync import stored
    from lakefront.server.cli.parts import open_database

    async def work() -> "list[Stored]":
        async with open_database(settings) as database:
            return await stored(database, system_actor())

    found = run(work())
    for document in found:
        typer.echo(f"{_line(document)}  since {document.added_at:%Y-%m-%d %H:%M:%S} UTC")
    if not found:
        typer.echo("No document is trusted. Add some: lakefront documents sync DIR", err=True)


@asynccontextmanager
async def _provisioner(settings: "Settings") -> "AsyncIterator[Database]":
    """The door of those who write the table."""
    from lakefront.db.database import PROVISIONER_ROLE, Database
    from lakefront.server.cli.parts import open_database

    async with open_database(settings) as database:
        provisioner = Database(database.dsn, pool_size=2, role=PROVISIONER_ROLE)
        await provisioner.open()
        try:
            yield provisioner
        finally:
            await provisioner.close()


def _line(document: "Stored") -> str:
    return printable(f"sha256:{document.sha256.hex()}  {document.name}")
