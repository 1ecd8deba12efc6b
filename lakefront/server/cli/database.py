"""``lakefront migrate``."""

import typer

from lakefront.server.cli.common import Data, run, settings_with


def migrate(data: Data = None) -> None:
    """Bring the database up to date; `serve` does so by itself on its own PostgreSQL."""
    settings = settings_with(data=data)
    from lakefront.db.migrate import migrate as upgrade
    from lakefront.server.cli.parts import database_of

    async def work() -> None:
        async with database_of(settings) as dsn:
            await upgrade(dsn)

    run(work())
    typer.echo("The database is up to date.")
