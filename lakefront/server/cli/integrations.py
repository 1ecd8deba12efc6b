"""``lakefront integrations …`` and ``add-city``: outside systems set up, listed, tried, their keys renewed (C7)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from lakefront.server.cli.common import Data, Tenant, fail, printable, run, settings_with
from lakefront.server.cli.prompts import ask, ask_credentials, on_terminal, shown

if TYPE_CHECKING:
    from lakefront.actor import Actor
    from lakefront.adapters.calls import Calls
    from lakefront.db.database import Database
    from lakefront.domain.cities import CityInput
    from lakefront.domain.integrations import Endpoints, Integration
    from lakefront.domain.integrations.rotation import Reencrypted
    from lakefront.settings import Settings

T = TypeVar("T")

app = typer.Typer(name="integrations", help="Set up outside systems, list and try them.", no_args_is_help=True)

ProviderName = Annotated[str, typer.Argument(metavar="PROVIDER", help="The outside system: openweather, …")]
City = Annotated[str, typer.Option("--city", metavar="SLUG", help="The city that it is of, where it is of one.")]
BaseUrl = Annotated[str | None, typer.Option("--base-url", metavar="URL", help="Where it is.", show_default=False)]
Version = Annotated[
    str | None, typer.Option("--api-version", metavar="VERSION", help="The form of its API.", show_default=False)
]
Quota = Annotated[
    int | None,
    typer.Option("--quota-daily", min=0, metavar="CALLS", help="Most calls of a UTC day.", show_default=False),
]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the domain works with."""

    settings: "Settings"
    database: "Database"
    endpoints: "Endpoints"
    calls: "Calls"
    provisioner: "Database"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the options say of an integration."""

    base_url: str | None = None
    api_version: str | None = None
    quota_daily: int | None = None
    enabled: bool | None = None


def add_city(
    *,
    slug: Annotated[str, typer.Option("--slug", metavar="SLUG", help="Its short name: bos.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What people call it: Boston.")],
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="PROVIDER", help="A system of the city to set up, as well.")
    ] = None,
    base_url: BaseUrl = None,
    api_version: Version = None,
    quota_daily: Quota = None,
    latitude: Annotated[float | None, typer.Option(help="Of its middle, in degrees.", show_default=False)] = None,
    longitude: Annotated[float | None, typer.Option(help="Of its middle, in degrees.", show_default=False)] = None,
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", metavar="NAME", help="America/New_York", show_default=False)
    ] = None,
    tenant: Tenant = "city",
    data: Data = None,
) -> None:
    """Add a city, or change it, and set its systems up. Their keys are asked for, unseen.

    Without a terminal they are lines NAME=VALUE of the input, for the one system of --provider.
    """
    from lakefront.domain import cities

    given = _city(slug, name, {"latitude": latitude, "longitude": longitude, "time_zone": time_zone})
    wanted = _Wanted(base_url, api_version, quota_daily)
    if provider is None and wanted != _Wanted():
        raise fail("--base-url, --api-version and --quota-daily are of one system: name it by --provider.")

    async def work(parts: _Parts, actor: "Actor") -> None:
        await cities.upsert(parts, actor, given)
        typer.echo(printable(f"{slug}  {name}"))
        for one in [provider] if provider else _chosen(name):
            await _set(parts, actor, one, slug, wanted)

    _as_operator(tenant, data, work)


@app.command("set")
def set_up(
    provider: ProviderName,
    *,
    city: City = "",
    base_url: BaseUrl = None,
    api_version: Version = None,
    quota_daily: Quota = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether it is called.", show_default=False)
    ] = None,
    tenant: Tenant = "city",
    data: Data = None,
) -> None:
    """Set an outside system up, or change it. Its keys are asked for, unseen; Enter leaves one as it is.

    Without a terminal they are lines NAME=VALUE of the input.
    """
    wanted = _Wanted(base_url, api_version, quota_daily, enabled)
    _as_operator(tenant, data, lambda parts, actor: _set(parts, actor, provider, city, wanted))


@app.command("list")
def list_integrations(*, tenant: Tenant = "city", data: Data = None) -> None:
    """Show the tenant's integrations: where they are, and which keys are set."""
    from lakefront.domain import integrations

    for it in _as_operator(tenant, data, integrations.integrations):
        typer.echo(_line(it))


@app.command("test")
def try_out(provider: ProviderName, *, city: City = "", tenant: Tenant = "city", data: Data = None) -> None:
    """Make a harmless call of an integration, from this machine."""
    from lakefront.domain import integrations

    trial = _as_operator(tenant, data, lambda parts, actor: integrations.try_out(parts, actor, provider, city))
    if not trial.ok:
        raise fail(printable(f"{trial.error_code}: {trial.message}"))
    typer.echo(printable(f"{trial.message} It took {trial.seconds:.2f} s."))


@app.command()
def rotate_encryption_key(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Make no new key: go on with the one that is in use.")] = False,
    data: Data = None,
) -> None:
    """Encrypt all tenants' credentials, and webhooks' secrets, under a new key, while servers run.

    The old ones stay, to read backups.

    Keys of LAKEFRONT_CREDENTIAL_KEYS are made by you: credentials come under the first of them.
    """
    from lakefront.domain.integrations import rotation as of_integrations
    from lakefront.domain.notices import rotation as of_webhooks

    async def work(parts: _Parts, actor: "Actor") -> "Reencrypted":
        keys = parts.endpoints.keys
        if keys.in_file and not keep:
            keys.add()
        there = (parts.provisioner, parts.database, actor, keys)
        both = [await each.reencrypt(*there) for each in (of_integrations, of_webhooks)]
        return of_integrations.Reencrypted(
            sum(each.done for each in both), tuple(where for each in both for where in each.unreadable)
        )

    report = _as_operator("city", data, work)
    typer.echo(f"{report.done} integrations and webhooks are under the key in use now that were not.")
    for where in report.unreadable:
        typer.echo(printable(f"not readable with any key here: {where}"), err=True)
    if report.unreadable:
        raise fail("Give the keys that these were encrypted under, and run this again; or set their credentials anew.")


async def _set(parts: _Parts, actor: "Actor", provider: str, city: str, wanted: _Wanted) -> None:
    """Ask for what is not given, and let the integration be so."""
    from msgspec import UNSET

    from lakefront.domain import integrations

    adapter = integrations.adapter_of(provider)
    there = {(it.provider, it.city): it for it in await integrations.integrations(parts, actor)}
    old = there.get((provider, city))
    title = f"{adapter.title} of {city}" if city else adapter.title
    base_url = ask(f"{title}, base URL", wanted.base_url, old.base_url if old else adapter.default_base_url)
    credentials = ask_credentials(title, old.credentials if old else integrations.credentials_of(adapter))
    given = integrations.IntegrationInput(
        provider=provider,
        city=city,
        base_url=UNSET if base_url is None else base_url,
        api_version=UNSET if wanted.api_version is None else wanted.api_version,
        credentials=credentials,
        quota_daily=UNSET if wanted.quota_daily is None else wanted.quota_daily,
        enabled=UNSET if wanted.enabled is None else wanted.enabled,
    )
    change = await integrations.upsert(parts, actor, given)
    typer.echo(_line(change.integration))


def _chosen(name: str) -> list[str]:
    """The systems of the city that are wanted, one by one asked for; none where nobody can be asked."""
    if not on_terminal():
        return []
    from lakefront.domain import integrations

    of_cities = [adapter for adapter in integrations.available() if adapter.city_bound]
    return [
        adapter.provider
        for adapter in of_cities
        if typer.confirm(f"Set up {adapter.title} ({adapter.provider}) for {printable(name)}?", err=True)
    ]


def _city(slug: str, name: str, more: dict[str, float | str | None]) -> "CityInput":
    from lakefront.domain.cities import CityInput

    return CityInput(slug, name, **{key: value for key, value in more.items() if value is not None})  # type: ignore[arg-type]


def _as_operator(tenant: str, data: Path | None, work: "Callable[[_Parts, Actor], Awaitable[T]]") -> T:
    """The result of ``work``, done as whoever runs the server, for ``tenant``."""
    settings = settings_with(data=data)
    from lakefront.actor import system_actor
    from lakefront.domain import api_keys

    async def done() -> T:
        async with _open(settings) as parts:
            return await work(parts, await api_keys.acting_for(parts.database, system_actor(), tenant))

    return run(done())


@asynccontextmanager
async def _open(settings: "Settings") -> AsyncIterator[_Parts]:
    from lakefront.adapters.calls import Calls
    from lakefront.db.database import PROVISIONER_ROLE, Database
    from lakefront.domain.integrations import CredentialKeys, Endpoints
    from lakefront.domain.integrations.rotation import under_unknown_keys
    from lakefront.domain.quota_ledger import QuotaLedger
    from lakefront.server.cli.parts import open_database

    async with open_database(settings) as database:
        keys = CredentialKeys.load_or_create(settings, create=settings.embedded_postgres)
        provisioner = Database(database.dsn, pool_size=2, role=PROVISIONER_ROLE)
        calls = Calls(
            loopback=settings.loopback_integrations,
            networks=settings.integration_networks,
            ledger=QuotaLedger(database),
        )
        await provisioner.open()
        try:
            if unreadable := await under_unknown_keys(provisioner, keys):
                typer.echo(f"{unreadable} integrations have keys that are not here: check --data.", err=True)
            yield _Parts(settings, database, Endpoints(database, keys), calls, provisioner)
        finally:
            await calls.close()
            await provisioner.close()


def _line(it: "Integration") -> str:
    where = f"{it.provider} of {it.city}" if it.city else it.provider
    state = "on " if it.enabled else "off"
    return printable(f"{where:<24}  {state}  {it.api_version}  {it.base_url}  {shown(it.credentials)}")
