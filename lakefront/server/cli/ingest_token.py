"""``lakefront ingest-token …``: tokens of producers, two valid at once while one is rotated (P9)."""

from datetime import timedelta
from typing import Annotated

import typer

from lakefront.server.cli.common import Data, Tenant, run, settings_with

app = typer.Typer(name="ingest-token", help="Make, rotate and list the tokens of producers.", no_args_is_help=True)

Stream = Annotated[str, typer.Option("--stream", metavar="NAME", help="The stream that the token may write.")]


@app.command()
def rotate(
    *,
    tenant: Tenant = "city",
    stream: Stream = "sf-permit-events",
    overlap: Annotated[
        int, typer.Option(min=0, metavar="SECONDS", max=2_592_000, help="How long the token before holds on.")
    ] = 86_400,
    data: Data = None,
) -> None:
    """Make a token; the newest so far holds on for the overlap, older ones end. The last line is the token alone."""
    settings = settings_with(data=data)
    from lakefront.actor import system_actor
    from lakefront.domain import api_keys, ingest_tokens
    from lakefront.server.cli.parts import open_database

    async def work() -> str:
        async with open_database(settings) as database:
            actor = await api_keys.acting_for(database, system_actor(), tenant)
            return await ingest_tokens.rotate(database, actor, stream, timedelta(seconds=overlap))

    minted = run(work())
    typer.echo(
        f"An ingest token for {stream} of {tenant}, shown only now; the one before holds {overlap:,} s more:", err=True
    )
    typer.echo(minted)


@app.command("list")
def list_tokens(*, tenant: Tenant = "city", stream: Stream = "sf-permit-events", data: Data = None) -> None:
    """Show the tokens that hold now: their ids and times; their text is not kept."""
    settings = settings_with(data=data)
    from lakefront.actor import system_actor
    from lakefront.domain import api_keys, ingest_tokens
    from lakefront.server.cli.parts import open_database

    async def work() -> list[ingest_tokens.IngestToken]:
        async with open_database(settings) as database:
            actor = await api_keys.acting_for(database, system_actor(), tenant)
            return await ingest_tokens.valid_tokens(database, actor, stream)

    for found in run(work()):
        end = f"until {found.expires_at:%Y-%m-%d %H:%M:%S} UTC" if found.expires_at else "until it is rotated out"
        typer.echo(f"{found.token_id}  {found.stream}  made {found.created_at:%Y-%m-%d %H:%M:%S} UTC, {end}")
