"""A pipeline's numbers as GraphQL tells them; what there is no data for is null, never a made-up zero."""

from datetime import datetime
from typing import Self

import strawberry
from strawberry import UNSET

from lakefront.domain import pipelines as domain
from lakefront.graphql.scalars import BigInt
from lakefront.graphql.weights import directives


@strawberry.input(description="A range of time. Counts are kept by the minute: both ends are widened to full ones.")
class TimeRange:
    """From when to when."""

    since: datetime = strawberry.field(name="from", description="Its beginning.")
    until: datetime | None = strawberry.field(
        name="to", description="Its end, which is not in it; now when left out.", default=UNSET
    )


@strawberry.type(description="How long a pipeline takes, in seconds.")
class PipelineLatency:
    """Averages are null where there was nothing to average."""

    average_seconds: float | None = strawberry.field(
        description="From a request's arrival to its acknowledgement, when its events are durable, on average."
    )
    seal_average_seconds: float | None = strawberry.field(
        description="From a batch's opening to its place in the lake, on average."
    )
    seal_max_seconds: float | None = strawberry.field(
        description="From a batch's opening to its place in the lake, at most."
    )


@strawberry.type(description="How far somebody who reads the log to its end is behind.")
class PipelineLag:
    """One consumer."""

    consumer: str = strawberry.field(description="Who: permits (their current state) or lake (the sealer).")
    events: BigInt = strawberry.field(description="Events that it has not taken in.")
    seconds: float = strawberry.field(description="Since when the oldest of them waits; 0 when none does.")


@strawberry.type(description="What came in during one step of the range; steps without a request are left out.")
class PipelinePoint:
    """One step."""

    start: datetime = strawberry.field(description="When the step began.")
    requests: BigInt = strawberry.field(description="Requests.")
    failed_requests: BigInt = strawberry.field(description="Requests that were refused or failed.")
    accepted: BigInt = strawberry.field(description="Events that were new.")
    duplicates: BigInt = strawberry.field(description="Events that were in the log before.")
    rejected: BigInt = strawberry.field(description="Events that were not valid, or in conflict.")
    average_seconds: float | None = strawberry.field(description="Seconds to the acknowledgement, on average.")


@strawberry.type(description="How a stream's pipeline does, over all servers (P7).")
class PipelineMetrics:
    """The numbers of one stream in one range of time."""

    stream: strawberry.ID = strawberry.field(description="The stream.")
    since: datetime = strawberry.field(name="from", description="The beginning of the range: a full minute.")
    until: datetime = strawberry.field(name="to", description="The end of the range: a full minute, or now.")
    requests: BigInt = strawberry.field(description="Requests that brought events, by whatever door.")
    failed_requests: BigInt = strawberry.field(description="Those of them that were refused or failed as a whole.")
    error_rate: float | None = strawberry.field(description="Failed requests of all, 0 to 1; null without a request.")
    events_received: BigInt = strawberry.field(description="Events on which there was a verdict.")
    accepted: BigInt = strawberry.field(description="Those of them that were new.")
    duplicates: BigInt = strawberry.field(description="Those of them that were in the log before.")
    rejected: BigInt = strawberry.field(description="Those of them that were not valid, or in conflict.")
    rejection_rate: float | None = strawberry.field(
        description="Rejected events of all received, 0 to 1; null without an event."
    )
    events_per_second: float = strawberry.field(description="Events received, on average over the range.")
    batches: BigInt = strawberry.field(description="Batches that were sealed in the range.")
    events_per_batch: float | None = strawberry.field(description="Their events, on average; null without a batch.")
    processing_latency: PipelineLatency = strawberry.field(description="How long it took in the range.")
    objects: BigInt = strawberry.field(description="Objects in the lake, of all time.")
    stored_bytes: BigInt = strawberry.field(description="Bytes of all objects in the lake, as they are stored.")
    raw_bytes: BigInt = strawberry.field(description="Bytes of the same before compression.")
    stored_bytes_added: BigInt = strawberry.field(description="Bytes as stored of the batches sealed in the range.")
    raw_bytes_added: BigInt = strawberry.field(description="Bytes of the same before compression.")
    lag: list[PipelineLag] = strawberry.field(description="Who is behind the log, and how far, now.")
    step_seconds: int = strawberry.field(description="Seconds that each of the points stands for.")
    points: list[PipelinePoint] = strawberry.field(
        description="What came in, step by step, oldest first.", directives=directives(size=domain.MOST_POINTS)
    )

    @classmethod
    def of(cls, found: domain.PipelineMetrics) -> Self:
        """The domain's numbers."""
        intake, sealed = found.intake, found.sealed
        return cls(
            stream=strawberry.ID(found.stream),
            since=found.range.since,
            until=found.range.until,
            requests=BigInt(intake.requests),
            failed_requests=BigInt(intake.failed_requests),
            error_rate=intake.error_rate,
            events_received=BigInt(intake.received),
            accepted=BigInt(intake.accepted),
            duplicates=BigInt(intake.duplicates),
            rejected=BigInt(intake.rejected),
            rejection_rate=intake.rejection_rate,
            events_per_second=intake.received / found.range.seconds,
            batches=BigInt(sealed.batches),
            events_per_batch=sealed.events_per_batch,
            processing_latency=PipelineLatency(
                average_seconds=intake.average_seconds,
                seal_average_seconds=sealed.average_seconds,
                seal_max_seconds=sealed.max_seconds,
            ),
            objects=BigInt(found.objects),
            stored_bytes=BigInt(found.stored_bytes),
            raw_bytes=BigInt(found.raw_bytes),
            stored_bytes_added=BigInt(sealed.stored_bytes),
            raw_bytes_added=BigInt(sealed.raw_bytes),
            lag=[
                PipelineLag(consumer=one.consumer, events=BigInt(one.events), seconds=one.seconds) for one in found.lag
            ],
            step_seconds=found.range.step,
            points=[_point(point) for point in found.points],
        )


def _point(point: domain.Point) -> PipelinePoint:
    intake = point.intake
    return PipelinePoint(
        start=point.start,
        requests=BigInt(intake.requests),
        failed_requests=BigInt(intake.failed_requests),
        accepted=BigInt(intake.accepted),
        duplicates=BigInt(intake.duplicates),
        rejected=BigInt(intake.rejected),
        average_seconds=intake.average_seconds,
    )
