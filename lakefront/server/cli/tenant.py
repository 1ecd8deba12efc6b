"""``lakefront tenant …``: tenants onboarded, suspended, resumed and listed by whoever runs the server (T1, T2)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from lakefront.server.cli.common import Data, fail, printable, run, settings_with

if TYPE_CHECKING:
    from lakefront.actor import Actor
    from lakefront.adapters.objects import ObjectStore
    from lakefront.db.database import Database
    from lakefront.domain.tenants.onboarding import DryRun, Onboarded
    from lakefront.domain.tenants.profiles import Profile
    from lakefront.settings import Settings

T = TypeVar("T")

PAGE: Final = 1000
"""Tenants that are read at once."""

app = typer.Typer(name="tenant", help="Onboard, suspend, resume and list tenants.", no_args_is_help=True)

_OUTCOMES: Final = {True: "ok    ", False: "FAILED", None: "      "}
"""What a check's ``ok`` is called."""

TenantId = Annotated[str, typer.Argument(metavar="TENANT_ID", help="The tenant's id.")]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the domain works with."""

    settings: "Settings"
    database: "Database"
    provisioner: "Database"
    objects: "ObjectStore"


@app.command()
def onboard(
    tenant: TenantId,
    *,
    company: Annotated[str, typer.Option("--company", metavar="NAME", help="The company's name.")],
    email: Annotated[str, typer.Option("--email", metavar="ADDRESS", help="Its administrator's address.")],
    plan: Annotated[
        str, typer.Option("--plan", metavar="PLAN", help="FREE, BASIC, PROFESSIONAL or ENTERPRISE.")
    ] = "FREE",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, and make nothing.")] = False,
    data: Data = None,
) -> None:
    """Check a tenant's configuration, then make the tenant; the last line is its first API key, shown only now."""
    from lakefront.domain.tenants import onboarding
    from lakefront.domain.tenants.configuration import Configuration

    configuration = Configuration(tenant, company, email, plan)

    async def work(parts: _Parts, actor: "Actor") -> "tuple[DryRun, Onboarded | None]":
        report = await onboarding.dry_run(parts, actor, configuration, remember=not dry_run)
        made = await onboarding.onboard(parts, actor, configuration) if report.ok and not dry_run else None
        return report, made

    report, made = _as_operator(data, work)
    for check in report.checks:
        typer.echo(f"{_OUTCOMES[check.ok]}  {check.check:<18}  {check.message}", err=True)
    if not report.ok:
        raise fail(f"{printable(tenant)[:40]} cannot be onboarded. Correct what the failed checks say.")
    if made is not None:
        typer.echo(f"{tenant} is onboarded with the plan {plan}. Its API key, shown only now:", err=True)
        typer.echo(made.api_key)


@app.command()
def suspend(
    tenant: TenantId,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; its people see it.")],
    data: Data = None,
) -> None:
    """Let nobody of a tenant in, on every server, within a second; its data stays."""
    from lakefront.domain.tenants import lifecycle

    typer.echo(_line(_as_operator(data, lambda parts, actor: lifecycle.suspend(parts, actor, tenant, reason))))


@app.command()
def resume(tenant: TenantId, *, data: Data = None) -> None:
    """Let a suspended tenant in again."""
    from lakefront.domain.tenants import lifecycle

    typer.echo(_line(_as_operator(data, lambda parts, actor: lifecycle.resume(parts, actor, tenant))))


@app.command("list")
def list_tenants(*, data: Data = None) -> None:
    """Show all tenants, by id: their status, plan and company."""
    from lakefront.domain.tenants.profiles import ProfilePage, profiles

    async def work(parts: _Parts, actor: "Actor") -> "list[Profile]":
        found, more = await profiles(parts, actor, ProfilePage(PAGE))
        while more:
            further, more = await profiles(parts, actor, ProfilePage(PAGE, after=found[-1].tenant_id))
            found += further
        return found

    for profile in _as_operator(data, work):
        typer.echo(_line(profile))


def _as_operator(data: Path | None, work: "Callable[[_Parts, Actor], Awaitable[T]]") -> T:
    """The result of ``work``, done as whoever runs the server."""
    settings = settings_with(data=data)
    from lakefront.actor import system_actor

    async def done() -> T:
        async with _open(settings) as parts:
            return await work(parts, system_actor())

    return run(done())


@asynccontextmanager
async def _open(settings: "Settings") -> AsyncIterator[_Parts]:
    from lakefront.db.database import PROVISIONER_ROLE, Database
    from lakefront.server.cli.parts import open_database, open_objects

    async with open_database(settings) as database, open_objects(settings) as objects:
        provisioner = Database(database.dsn, pool_size=2, role=PROVISIONER_ROLE)
        await provisioner.open()
        try:
            yield _Parts(settings, database, provisioner, objects)
        finally:
            await provisioner.close()


def _line(profile: "Profile") -> str:
    why = f"  ({profile.suspension_reason})" if profile.suspension_reason else ""
    return printable(
        f"{profile.tenant_id:<40}  {profile.status:<9}  {profile.subscription_plan:<12}  {profile.company_name}{why}"
    )
