"""``lakefront dead-letters …``: what outside systems were not told is listed, replayed, discarded, exported (C12)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from lakefront.server.cli.common import Data, Tenant, printable, run, settings_with

if TYPE_CHECKING:
    from lakefront.actor import Actor
    from lakefront.adapters.objects import ObjectStore
    from lakefront.db.database import Database
    from lakefront.domain.outbox import DeadLetter

T = TypeVar("T")

app = typer.Typer(name="dead-letters", help="What outside systems could not be told.", no_args_is_help=True)

LetterId = Annotated[str, typer.Argument(metavar="LETTER", help="The letter's id.")]
Provider = Annotated[
    str | None, typer.Option("--provider", metavar="NAME", help="Of one outside system.", show_default=False)
]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the domain works with."""

    database: "Database"
    objects: "ObjectStore"


@app.command("list")
def list_waiting(*, provider: Provider = None, tenant: Tenant = "city", data: Data = None) -> None:
    """Show those that nobody decided on yet, oldest first, a thousand at most."""
    from lakefront.domain import outbox

    for letter in _as_operator(tenant, data, lambda parts, actor: outbox.waiting(parts, actor, provider=provider)):
        typer.echo(_line(letter))


@app.command()
def replay(
    letter: LetterId,
    *,
    not_carried_out: Annotated[
        bool, typer.Option("--not-carried-out", help="Of an uncertain one: you looked there, and it was not done.")
    ] = False,
    tenant: Tenant = "city",
    data: Data = None,
) -> None:
    """Have its job tried again at once, by a running server; one that is uncertain is looked up first."""
    from lakefront.domain import outbox

    typer.echo(
        _line(
            _as_operator(
                tenant,
                data,
                lambda parts, actor: outbox.replay(parts, actor, letter, not_carried_out=not_carried_out),
            )
        )
    )


@app.command()
def discard(letter: LetterId, *, tenant: Tenant = "city", data: Data = None) -> None:
    """Leave its job as it is, for good."""
    from lakefront.domain import outbox

    typer.echo(_line(_as_operator(tenant, data, lambda parts, actor: outbox.discard(parts, actor, letter))))


@app.command()
def export(
    *,
    provider: Provider = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be written.")] = False,
    tenant: Tenant = "city",
    data: Data = None,
) -> None:
    """Write those that wait to the object store, as NDJSON; they wait on."""
    from lakefront.domain import outbox

    told = _as_operator(
        tenant, data, lambda parts, actor: outbox.export(parts, actor, provider=provider, dry_run=dry_run)
    )
    for key in told.keys:
        typer.echo(printable(key))
    typer.echo(f"{told.letters} letters {'would be' if dry_run else 'are'} in {len(told.keys)} objects.", err=True)


def _as_operator(tenant: str, data: Path | None, work: "Callable[[_Parts, Actor], Awaitable[T]]") -> T:
    """The result of ``work``, done as whoever runs the server, for ``tenant``."""
    settings = settings_with(data=data)
    from lakefront.actor import system_actor
    from lakefront.domain import api_keys
    from lakefront.server.cli.parts import open_database, open_objects

    async def done() -> T:
        async with open_database(settings) as database, open_objects(settings) as objects:
            actor = await api_keys.acting_for(database, system_actor(), tenant)
            return await work(_Parts(database, objects), actor)

    return run(done())


def _line(letter: "DeadLetter") -> str:
    where = f"{letter.provider} of {letter.city}" if letter.city else letter.provider
    doubt = "uncertain" if letter.uncertain else "dead"
    when = f"{letter.died_at:%Y-%m-%d %H:%M:%S}Z"
    what = f"{letter.letter_id}  {letter.state.value.lower():<9}  {when}  {doubt:<9}  {where:<20}  {letter.kind}"
    return printable(f"{what} {letter.key}  {letter.error_code}: {letter.error_message} (trace {letter.trace_id})")
