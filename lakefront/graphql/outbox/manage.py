"""The mutations of dead letters."""

from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Self
from uuid import UUID

import strawberry
from strawberry import UNSET

from lakefront.actor import INTEGRATIONS_MANAGE
from lakefront.db.database import Row
from lakefront.domain import outbox as domain
from lakefront.graphql.context import Info
from lakefront.graphql.fields import attribute, given, mutation
from lakefront.graphql.outbox.types import DeadLetter
from lakefront.graphql.reports import DryRunReport
from lakefront.graphql.scalars import timestamp_text

LetterId = Annotated[strawberry.ID, strawberry.argument(description="The letter's id.")]
IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(description="The same key with the same arguments changes nothing more."),
]
DryRun = Annotated[bool | None, strawberry.argument(description="Check and report, but change nothing.")]


@strawberry.type(description="A dead letter that was decided on.")
class DeadLetterPayload:
    """A letter, and on a dry run a report."""

    dead_letter: DeadLetter = attribute("The letter; on a dry run as it would be.")
    report: DryRunReport | None = attribute("On a dry run: what would have been done.")

    @classmethod
    def of(cls, letter: domain.DeadLetter, *, calls: int, dry_run: bool) -> Self:
        """What the use-case gives; ``calls``: those of outside systems that follow."""
        report = DryRunReport(changes=1, quota=0, outside_calls=calls) if dry_run else None
        return cls(dead_letter=DeadLetter(row=_row(letter)), report=report)


@strawberry.type(description="Dead letters that were written to the object store.")
class ExportDeadLettersPayload:
    """Where they are."""

    keys: list[str] = attribute("The objects' keys, each NDJSON with a letter a line; the oldest letters first.")
    letters: int = attribute("How many letters these are.")
    report: DryRunReport | None = attribute("On a dry run: what would have been done.")


@strawberry.type
class Mutation:
    """What can be done about dead letters."""

    @mutation(
        "Have a job that died tried again at once. One that is uncertain is looked up first, as it may have been "
        "carried out, unless you looked yourself and say that it was not.",
        requires=INTEGRATIONS_MANAGE,
        limit="60/minute",
    )
    async def replay_dead_letter(
        self,
        info: Info,
        letter_id: LetterId,
        not_carried_out: Annotated[
            bool | None,
            strawberry.argument(description="Of an uncertain one: you looked there, and it was not carried out."),
        ] = False,
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> DeadLetterPayload:
        """The one use-case, as the command line calls it."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        letter = await domain.replay(
            *(services, actor, str(letter_id)),
            not_carried_out=bool(not_carried_out),
            idempotency_key=key,
            dry_run=dry,
        )
        return DeadLetterPayload.of(letter, calls=1, dry_run=dry)

    @mutation(
        "Leave a job that died, or is uncertain, as it is: nobody tries it again. Jobs that waited for it go on.",
        requires=INTEGRATIONS_MANAGE,
        limit="60/minute",
    )
    async def discard_dead_letter(
        self, info: Info, letter_id: LetterId, idempotency_key: IdempotencyKey = UNSET, dry_run: DryRun = False
    ) -> DeadLetterPayload:
        """The one use-case."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        letter = await domain.discard(services, actor, str(letter_id), idempotency_key=key, dry_run=dry)
        return DeadLetterPayload.of(letter, calls=0, dry_run=dry)

    @mutation(
        "Write the dead letters that wait to the object store, for whoever works through them elsewhere; they wait "
        "on. The same letters make the same objects, however often it is done.",
        requires=INTEGRATIONS_MANAGE,
        limit="10/minute",
    )
    async def export_dead_letters(
        self,
        info: Info,
        provider: Annotated[
            strawberry.ID | None, strawberry.argument(description="Those of one outside system; all if left out.")
        ] = UNSET,
        dry_run: DryRun = False,
    ) -> ExportDeadLettersPayload:
        """The one use-case, as the command line calls it."""
        wanted, dry = given(provider), bool(dry_run)
        exported = await domain.export(
            info.context.services,
            info.context.actor,
            provider=None if wanted is None else str(wanted),
            dry_run=dry,
        )
        report = DryRunReport(changes=len(exported.keys), quota=0, outside_calls=0) if dry else None
        return ExportDeadLettersPayload(keys=list(exported.keys), letters=exported.letters, report=report)


def _row(letter: domain.DeadLetter) -> Row:
    """The letter as its row comes from PostgreSQL: column -> JSON form."""
    return {each.name: _json(getattr(letter, each.name)) for each in fields(letter)}


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp_text(value)
    if isinstance(value, UUID):
        return str(value)
    return value.value if isinstance(value, Enum) else value
