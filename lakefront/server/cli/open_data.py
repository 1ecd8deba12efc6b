"""``lakefront import …``: published data sets, imported by a server (C5)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakefront.server.cli.common import Data, Tenant, fail, printable, run, settings_with

if TYPE_CHECKING:
    from lakefront.adapters.calls import Calls
    from lakefront.db.database import Database, Row
    from lakefront.domain.integrations import Endpoints
    from lakefront.settings import Settings

app = typer.Typer(name="import", help="Import published data, by a server that runs.", no_args_is_help=True)

_LOOKS = 0.5
"""Seconds between two looks at an import that is waited for."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the domain works with."""

    database: "Database"
    endpoints: "Endpoints"
    calls: "Calls"


@app.callback()
def import_() -> None:
    """Keep `open-data` a command of its own."""


@app.command("open-data")
def open_data(
    *,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The data set's id: erm2-nwe9, 43nn-pn8j, …")],
    city: Annotated[
        str | None, typer.Option("--city", metavar="SLUG", help="Whose integration is asked.", show_default=False)
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", metavar="TIME", help="Read what changed after then (UTC).", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell how many rows there are, and do nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until a server is done with it.")] = False,
    tenant: Tenant = "city",
    data: Data = None,
) -> None:
    """Have a data set imported: what has changed since the last import, or all of it. A running server does it."""
    settings = settings_with(data=data)
    import asyncio

    from lakefront import tracing
    from lakefront.actor import system_actor
    from lakefront.domain import open_data as domain

    async def work() -> "Row | None":
        actor = system_actor(tenant)
        async with _open(settings, tenant) as parts:
            trace_id = tracing.new_trace_id()
            asked = await domain.ask_for(
                parts, actor, dataset, city=city, since=since, dry_run=dry_run, trace_id=trace_id
            )
            if asked.row is None:
                typer.echo(f"{asked.rows:,} rows would be read, by {asked.calls:,} calls.")
                return None
            row, import_id = asked.row, asked.row["import_id"]
            typer.echo(f"{import_id}: a running server carries it out.")
            while wait and row["ended_at"] is None:
                await asyncio.sleep(_LOOKS)
                row = await domain.find(parts, actor, import_id)
            return row if wait else None

    if (row := run(work())) is not None:
        _summary(row)


def _summary(row: "Row") -> None:
    for problem in row["problems"]:
        typer.echo(f"Skipped: {printable(problem['row'])}: {problem['field'] or 'row'}: {problem['message']}", err=True)
    typer.echo(f"rows        {row['rows_read']:>10,}")
    for name in ("accepted", "duplicates", "rejected"):
        typer.echo(f"  {name:<10}{row[name]:>10,}")
    if row["state"] != "DONE":
        raise fail(f"the import is {row['state']}: {printable(row['error_message'] or 'somebody stopped it')}")


@asynccontextmanager
async def _open(settings: "Settings", tenant: str) -> AsyncIterator[_Parts]:
    from lakefront.adapters.calls import Calls
    from lakefront.domain.integrations import CredentialKeys, Endpoints
    from lakefront.domain.quota_ledger import QuotaLedger
    from lakefront.server.cli.parts import open_tenant

    async with open_tenant(settings, tenant) as database:
        keys = CredentialKeys.load_or_create(settings, create=settings.embedded_postgres)
        calls = Calls(
            loopback=settings.loopback_integrations,
            networks=settings.integration_networks,
            ledger=QuotaLedger(database),
        )
        try:
            yield _Parts(database, Endpoints(database, keys), calls)
        finally:
            await calls.close()
