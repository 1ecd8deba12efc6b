"""``lakefront token``."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lakefront.server.cli.common import Data, Tenant, run, settings_with

if TYPE_CHECKING:
    from lakefront.server.keys import SigningKey
    from lakefront.settings import Settings


class Role(StrEnum):
    """The roles of the checked-in policy, for the help text."""

    ADMIN = "admin"
    STAFF = "staff"
    CITIZEN = "citizen"
    READER = "reader"
    SERVICE = "service"
    INGEST = "ingest"
    MONITOR = "monitor"


def token(
    *,
    role: Annotated[Role, typer.Option(help="What the token may do.")] = Role.ADMIN,
    tenant: Tenant = "city",
    ttl: Annotated[int | None, typer.Option(min=1, help="Seconds that it holds.", show_default="3600")] = None,
    data: Data = None,
) -> None:
    """Make a token for the server on the data folder; the last line is the token alone."""
    settings = settings_with(data=data)
    from lakefront.actor import CITY
    from lakefront.db.embedded.folder import make_data_folder
    from lakefront.db.embedded.process import unprivileged
    from lakefront.server.keys import SigningKey, mint

    seconds = settings.token_ttl if ttl is None else ttl
    fresh = settings.embedded_postgres and not (settings.data / "postgres").exists()
    if settings.embedded_postgres:
        make_data_folder(settings.data, unprivileged().owner)
    key = SigningKey.load_or_create(settings.data)
    if not settings.embedded_postgres or tenant != CITY:
        run(_introduce(key, settings, tenant))
    minted = mint(key, settings, f"cli:{role}", role, tenant, seconds)
    if fresh:
        typer.echo(f"No server has run on {settings.data} yet: the token is for one that will. Check --data.", err=True)
    typer.echo(f"A token for the role {role} of {tenant}, for {seconds:,} seconds:", err=True)
    typer.echo(minted)


async def _introduce(key: "SigningKey", settings: "Settings", tenant: str) -> None:
    """Make the key known to the servers of the database, whose data folders may be others.

    Raises ``ValidationError`` where there is no such tenant.
    """
    from lakefront.errors import ValidationError
    from lakefront.server.auth import KeyRing
    from lakefront.server.cli.parts import open_database

    async with open_database(settings) as database:
        async with database.transaction(tenant) as transaction:
            known = await transaction.fetch("SELECT 1 FROM tenants.tenant_profiles WHERE tenant_id = $1", tenant)
        if not known:
            raise ValidationError(f"There is no tenant '{tenant}' here. Onboard it first, or check --tenant.")
        await KeyRing(key, database).register()
