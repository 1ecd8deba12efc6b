"""The subscription to imports' progress."""

from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any, Self

import strawberry
from strawberry import UNSET

from lakefront.actor import LAKE_MANAGE
from lakefront.domain import open_data as domain
from lakefront.domain.following import Arrival, Followed, Wanted, follow
from lakefront.domain.open_data import ImportState
from lakefront.graphql.context import Info
from lakefront.graphql.declare.selection import selected
from lakefront.graphql.fields import attribute, given, subscription
from lakefront.graphql.following import After, Heartbeat, together
from lakefront.graphql.open_data.types import IMPORTS, OpenDataImport
from lakefront.graphql.scalars import BigInt

FOLLOWED = Followed(domain.STREAM, domain.SCOPE, IMPORTS)


@strawberry.type(description="How far an import was at some time.")
class OpenDataProgress:
    """An event of the log."""

    event_id: strawberry.ID = attribute("The event's id: the import's, and its version then.")
    import_id: strawberry.ID = attribute("The import.")
    at: datetime = attribute("When it was so far.")
    state: ImportState = attribute("Where it stood.")
    rows_total: BigInt | None = attribute("How many rows there were as it began; null until that is known.")
    rows_read: BigInt = attribute("How many rows were read so far.")
    accepted: BigInt = attribute("How many of them were new, or said something new.")
    duplicates: BigInt = attribute("How many of them said what was known.")
    rejected: BigInt = attribute("How many of them were skipped.")
    error_code: str | None = attribute("What failed last, by its code; null once it went on.")

    @classmethod
    def of(cls, event: dict[str, Any]) -> Self:
        """The row of an event of ``import-events``."""
        told, total = event["payload"], event["payload"]["rowsTotal"]
        return cls(
            event_id=strawberry.ID(event["event_id"]),
            import_id=strawberry.ID(told["importId"]),
            at=datetime.fromisoformat(event["occurred_at"]),
            state=ImportState(told["state"]),
            rows_total=None if total is None else BigInt(total),
            rows_read=BigInt(told["rowsRead"]),
            accepted=BigInt(told["accepted"]),
            duplicates=BigInt(told["duplicates"]),
            rejected=BigInt(told["rejected"]),
            error_code=told["errorCode"],
        )


@strawberry.type(description="Progress as it is made, or a sign of life.")
class OpenDataImportDelivery:
    """One message of the subscription."""

    cursor: str = strawberry.field(description="Subscribe again with after: cursor to go on after this message.")
    event: OpenDataProgress | None = strawberry.field(description="How far it was; null on a heartbeat.")
    import_: OpenDataImport | None = strawberry.field(
        name="import", description="The import as it is now; null on a heartbeat."
    )
    coming: strawberry.Private[Collection["OpenDataImportDelivery"]] = ()

    @classmethod
    def of(cls, arrival: Arrival) -> Self:
        """What a follower got."""
        return cls(
            cursor=arrival.cursor,
            event=None if arrival.event is None else OpenDataProgress.of(arrival.event),
            import_=None if arrival.row is None else OpenDataImport(row=arrival.row),
        )


@strawberry.type
class Subscription:
    """What can be followed about open data."""

    @subscription(
        "How imports get on, resumable without a gap or a double (X1); the last event of an import tells its end. "
        "Steps that follow each other closely may be told as one. Ends with LAGGED or CURSOR_EXPIRED, whose extensions "
        "hold the cursor to go on from.",
        requires=LAKE_MANAGE,
    )
    async def import_progress(
        self,
        info: Info,
        import_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this import; of all when left out.")
        ] = UNSET,
        after: After = UNSET,
        heartbeat: Heartbeat = UNSET,
    ) -> AsyncIterator[OpenDataImportDelivery]:
        """Replay, then live."""
        start, only = info.context.following.start(given(after), given(heartbeat)), given(import_id)
        wanted = Wanted() if only is None else Wanted(event=lambda event: event.partition_key == only)
        context, with_row = info.context, "import" in selected(info.selected_fields)
        pages = follow(context.services, context.actor, FOLLOWED, start, wanted, with_row=with_row)
        async with aclosing(pages):
            async for page in pages:
                for delivery in together(map(OpenDataImportDelivery.of, page)):
                    yield delivery
