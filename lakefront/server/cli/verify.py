"""``lakefront verify …``."""

from typing import TYPE_CHECKING, Annotated

import typer

from lakefront.server.cli.common import Data, Tenant, fail, printable, run, settings_with

if TYPE_CHECKING:
    from lakefront.settings import Settings

SHOWN = 100
"""Differences that are listed; further ones are counted."""

app = typer.Typer(name="verify", help="Hold what is stored against what should be.", no_args_is_help=True)


@app.callback()
def verify() -> None:
    """Keep `lake` a command of its own."""


@app.command()
def lake(
    stream: Annotated[str | None, typer.Option("--stream", metavar="NAME", help="Only this stream.")] = None,
    tenant: Tenant = "city",
    data: Data = None,
) -> None:
    """Hold every object of the lake against its manifest, also while serving; nothing is changed.

    Each object must be in the store with the size, the SHA-256 and the events that were sealed, offsets must follow one
    another without gap or overlap, and the store must hold nothing that nobody knows. Exit code 1 if anything differs.
    """
    objects, differences = run(_verify(settings_with(data=data), stream, tenant))
    for name, wrong in differences[:SHOWN]:
        typer.echo(f"{printable(name)}: {printable(wrong)}")
    if len(differences) > SHOWN:
        typer.echo(f"… and {len(differences) - SHOWN:,} more")
    if differences:
        raise fail(f"{len(differences):,} differences in {objects:,} objects. Restore those objects from a copy.")
    typer.echo(f"The lake is whole: {objects:,} objects.")


async def _verify(settings: "Settings", stream: str | None, tenant: str) -> tuple[int, list[tuple[str, str]]]:
    """How many objects there are, and what differs: (name, what is wrong)."""
    from rich.console import Console
    from rich.progress import Progress

    from lakefront.eventlog.lake.verify import Verification
    from lakefront.server.cli.parts import open_objects, open_tenant

    differences: list[tuple[str, str]] = []
    async with open_tenant(settings, tenant) as database, open_objects(settings) as store:
        verification = Verification(database, store, tenant)
        streams = await verification.streams(stream)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for name, objects in streams.items():
                task = progress.add_task(name, total=objects)
                async for checked in verification.check(name):
                    differences += [(checked.name, wrong) for wrong in checked.wrong]
                    progress.advance(task, int(checked.of_manifest))
    return sum(streams.values()), differences
