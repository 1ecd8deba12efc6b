"""``lakefront rebuild …``."""

import typer

from lakefront.server.cli.common import Data, Tenant, run, settings_with

app = typer.Typer(name="rebuild", help="Make current state anew from the log, while serving.", no_args_is_help=True)


@app.callback()
def rebuild() -> None:
    """Keep `permits` a command of its own."""


@app.command()
def permits(tenant: Tenant = "city", data: Data = None) -> None:
    """Make every permit's current state anew from its events."""
    settings = settings_with(data=data)
    from lakefront.actor import system_actor
    from lakefront.domain import permits as domain
    from lakefront.eventlog.lake.history import History
    from lakefront.server.cli.parts import open_objects, open_tenant

    async def work() -> int:
        async with open_tenant(settings, tenant) as database, open_objects(settings) as objects:
            return await domain.rebuild(database, system_actor(tenant), History(database, objects))

    typer.echo(f"The permits are rebuilt, from {run(work()):,} events.")
