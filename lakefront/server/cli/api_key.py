"""``lakefront api-key …``: a tenant's API keys, made, listed, rotated and revoked by whoever runs the server (T2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from lakefront.server.cli.common import Data, Tenant, printable, run, settings_with

if TYPE_CHECKING:
    from lakefront.actor import Actor
    from lakefront.db.database import Database
    from lakefront.domain.api_keys import ApiKey, NewKey
    from lakefront.domain.rights import Rights
    from lakefront.settings import Settings

T = TypeVar("T")

app = typer.Typer(name="api-key", help="Make, list, rotate and revoke a tenant's API keys.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, as `lakefront api-key list` shows it.")]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the domain works with."""

    settings: "Settings"
    database: "Database"
    rights: "Rights"


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    *,
    role: Annotated[list[str], typer.Option("--role", metavar="ROLE", help="What it may do; give several if need be.")],
    tenant: Tenant = "city",
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=365, help="Days that it lives.", show_default="90")
    ] = None,
    data: Data = None,
) -> None:
    """Make a key; the last line is the key alone, shown only now."""
    from lakefront.domain import api_keys

    ttl = None if days is None else timedelta(days=days)
    made = _as_operator(tenant, data, lambda parts, actor: api_keys.create(parts, actor, name, role, ttl))
    _show(made, tenant)


@app.command("list")
def list_keys(*, tenant: Tenant = "city", data: Data = None) -> None:
    """Show the tenant's keys, newest first: their ids, states and times; their text is not kept."""
    from lakefront.domain import api_keys

    for key in _as_operator(tenant, data, api_keys.keys):
        typer.echo(_line(key))


@app.command()
def rotate(
    key_id: KeyId,
    *,
    tenant: Tenant = "city",
    overlap_hours: Annotated[
        int,
        typer.Option(
            min=0, metavar="HOURS", max=720, help="Hours that the old key holds on; 0 ends it at once (regenerate)."
        ),
    ] = 24,
    data: Data = None,
) -> None:
    """Make a key in place of another, which holds on for the overlap. The last line is the new key alone.

    With --overlap-hours 0 the old key ends at once: for one whose text was lost, or got into wrong hands.
    """
    from lakefront.domain import api_keys

    overlap = timedelta(hours=overlap_hours)
    made = _as_operator(
        tenant, data, lambda parts, actor: api_keys.rotate(parts, actor, api_keys.key_id(key_id), overlap)
    )
    held = f"holds {overlap_hours} h more, unless it ends before" if overlap_hours else "ends within a second"
    typer.echo(f"The old key {held}.", err=True)
    _show(made, tenant)


@app.command()
def revoke(
    key_id: KeyId,
    *,
    tenant: Tenant = "city",
    force: Annotated[
        bool, typer.Option("--force", help="Also the last key by which the tenant can make others.")
    ] = False,
    data: Data = None,
) -> None:
    """End a key, within a second on every server."""
    from lakefront.domain import api_keys

    revoked = _as_operator(
        tenant, data, lambda parts, actor: api_keys.revoke(parts, actor, api_keys.key_id(key_id), force=force)
    )
    typer.echo(_line(revoked))


def _as_operator(tenant: str, data: Path | None, work: "Callable[[_Parts, Actor], Awaitable[T]]") -> T:
    """The result of ``work``, done as whoever runs the server, for ``tenant``."""
    settings = settings_with(data=data)
    from lakefront.actor import system_actor
    from lakefront.domain import api_keys
    from lakefront.domain.rights import Rights
    from lakefront.server.cli.parts import open_database

    async def done() -> T:
        async with open_database(settings) as database:
            parts = _Parts(settings, database, Rights(database))
            return await work(parts, await api_keys.acting_for(database, system_actor(), tenant))

    return run(done())


def _show(made: "NewKey", tenant: str) -> None:
    key = made.key
    typer.echo(f"The key {key.key_id} of {tenant}, until {_time(key.expires_at)}, shown only now:", err=True)
    typer.echo(made.text)


def _line(key: "ApiKey") -> str:
    state, roles = key.state(datetime.now(UTC)), ",".join(key.roles)
    used = f"used {_time(key.last_used_at)}" if key.last_used_at else "never used"
    return printable(
        f"{key.key_id}  {key.prefix}…  {state:<8} until {_time(key.expires_at)}, {used}  {roles}  {key.name}"
    )


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
