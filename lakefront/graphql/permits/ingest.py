"""The mutation that takes permit events in."""

import json
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from lakefront.actor import PERMITS_WRITE
from lakefront.domain import permits as domain
from lakefront.graphql.context import Info
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.fields import given, mutation
from lakefront.graphql.permits.enums import Outcome, PermitEventType
from lakefront.graphql.reports import DryRunReport
from lakefront.graphql.scalars import timestamp_text


@strawberry.input(description="An event to take in (P2).")
class PermitEventInput:
    """The event's parts, as REST takes them."""

    event_id: strawberry.ID = strawberry.field(description="Your id for the event: sending it again changes nothing.")
    permit_id: strawberry.ID = strawberry.field(description="The permit's number.")
    event_type: PermitEventType = strawberry.field(description="What happened.")
    timestamp: datetime = strawberry.field(description="When it happened.")
    event_data: JSON = strawberry.field(description="What you know about it: the fields that its type has.")

    def text(self, path: str) -> bytes:
        """The event as REST's JSON; raises ``ValidationError`` with ``path`` for what JSON cannot say."""
        event = {
            "eventId": self.event_id,
            "permitId": self.permit_id,
            "eventType": self.event_type.value,
            "timestamp": timestamp_text(self.timestamp),
            "eventData": self.event_data,
        }
        try:
            return json.dumps(event, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            raise refused(path, "Numbers must be finite, and texts whole Unicode. Correct the event.") from None


@strawberry.type(description="What became of one event that was not plainly accepted (X6).")
class EventVerdict:
    """One verdict."""

    index: int = strawberry.field(description="The event's place in the list, from 0 on.")
    event_id: strawberry.ID | None = strawberry.field(description="The event's id, if it could be read.")
    verdict: Outcome = strawberry.field(description="What became of it.")
    field: str | None = strawberry.field(description="The part that is not valid.")
    reason: str | None = strawberry.field(description="What is wrong with it, and what to do.")


@strawberry.type(description="What became of the events.")
class IngestPermitEventsPayload:
    """The counts and verdicts."""

    events_received: int = strawberry.field(description="How many events came.")
    accepted: int = strawberry.field(description="How many are now in the log.")
    duplicates: int = strawberry.field(description="How many were in the log before.")
    rejected: int = strawberry.field(description="How many are not in the log: not valid, or in conflict.")
    verdicts: list[EventVerdict] = strawberry.field(description="Each event that was not plainly accepted.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")


@strawberry.type
class Mutation:
    """What can be done to permits."""

    @mutation(
        "Take permit events in: valid ones are kept even where others are not (P1, X6).",
        requires=PERMITS_WRITE,
        sized_by="events",
    )
    async def ingest_permit_events(
        self,
        info: Info,
        events: Annotated[list[PermitEventInput], strawberry.argument(description="At least one.")],
        idempotency_key: Annotated[
            str | None,
            strawberry.argument(description="The same key with the same events gives the first answer again."),
        ] = UNSET,
        dry_run: Annotated[
            bool | None, strawberry.argument(description="Check and report, but change nothing.")
        ] = False,
    ) -> IngestPermitEventsPayload:
        """The one use-case, as REST calls it."""
        report = await domain.ingest(
            info.context.services,
            info.context.actor,
            [event.text(f"events[{index}]") for index, event in enumerate(events)],
            dry_run=bool(dry_run),
            idempotency_key=given(idempotency_key),
            trace_id=info.context.trace_id,
        )
        return IngestPermitEventsPayload(
            events_received=report.received,
            accepted=report.accepted,
            duplicates=report.duplicates,
            rejected=report.rejected,
            verdicts=[_verdict(verdict) for verdict in report.verdicts],
            report=DryRunReport(changes=report.accepted, quota=report.received, outside_calls=0) if dry_run else None,
        )


def _verdict(verdict: domain.Verdict) -> EventVerdict:
    return EventVerdict(
        index=verdict.index,
        event_id=strawberry.ID(verdict.event_id) if verdict.event_id is not None else None,
        verdict=verdict.outcome,
        field=verdict.field,
        reason=verdict.reason,
    )
