"""The mutations that ask for an import, and stop it."""

from datetime import datetime
from typing import Annotated, Self

import strawberry
from strawberry import UNSET

from lakefront.actor import LAKE_MANAGE
from lakefront.domain import open_data as domain
from lakefront.graphql.context import Info
from lakefront.graphql.fields import given, mutation
from lakefront.graphql.open_data.types import OpenDataImport
from lakefront.graphql.reports import DryRunReport
from lakefront.graphql.scalars import BigInt

IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(description="The same key with the same arguments changes nothing more."),
]
DryRun = Annotated[bool | None, strawberry.argument(description="Check and report, but change nothing.")]


@strawberry.type(description="An import that was asked for, or stopped.")
class OpenDataImportPayload:
    """The import."""

    import_: OpenDataImport | None = strawberry.field(
        name="import", description="The import; null where a dry run would have begun one."
    )
    rows: BigInt | None = strawberry.field(description="On a dry run: how many rows there are to be read.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")

    @classmethod
    def of(cls, asked: domain.Asked) -> Self:
        """What the domain did, or would have done."""
        if asked.row is not None:
            return cls(import_=OpenDataImport(row=asked.row), rows=None, report=None)
        report = DryRunReport(changes=1, quota=asked.rows, outside_calls=asked.calls)
        return cls(import_=None, rows=BigInt(asked.rows), report=report)


@strawberry.type
class Mutation:
    """What can be done about open data."""

    @mutation(
        "Have a published data set imported, by one server after the other if need be: what has changed since the last "
        "import, or all of it. Follow it with importProgress. A dry run asks the publisher how many rows there are.",
        requires=LAKE_MANAGE,
        limit="30/minute",
    )
    async def import_open_data(
        self,
        info: Info,
        dataset: Annotated[strawberry.ID, strawberry.argument(description="The data set: openDataSets lists them.")],
        city: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Whose integration of Socrata is asked; the data set's own if left out."),
        ] = UNSET,
        since: Annotated[
            datetime | None,
            strawberry.argument(description="Read the rows that changed after then, instead of after the last import."),
        ] = UNSET,
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> OpenDataImportPayload:
        """The one use-case, as REST calls it."""
        asked = await domain.ask_for(
            info.context.services,
            info.context.actor,
            str(dataset),
            city=given(city),
            since=given(since),
            idempotency_key=given(idempotency_key),
            dry_run=bool(dry_run),
            trace_id=info.context.trace_id,
        )
        return OpenDataImportPayload.of(asked)

    @mutation(
        "Stop an import. What was taken in stays, and the next import goes on from there. One that ended stays so.",
        requires=LAKE_MANAGE,
    )
    async def cancel_open_data_import(
        self,
        info: Info,
        import_id: Annotated[strawberry.ID, strawberry.argument(description="The import's id.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> OpenDataImportPayload:
        """The one use-case, as REST calls it."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        row = await domain.cancel(services, actor, str(import_id), idempotency_key=key, dry_run=dry)
        report = DryRunReport(changes=int(row["ended_at"] is None), quota=0, outside_calls=0)
        return OpenDataImportPayload(import_=OpenDataImport(row=row), rows=None, report=report if dry else None)
