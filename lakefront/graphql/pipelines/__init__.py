"""Pipelines: how a stream does (P7), asked or followed."""

from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import METRICS_READ
from lakefront.domain import pipelines as domain
from lakefront.graphql.context import Info
from lakefront.graphql.fields import field, given
from lakefront.graphql.pipelines.live import Subscription
from lakefront.graphql.pipelines.types import PipelineMetrics, TimeRange

__all__ = ["PipelineMetrics", "Query", "Subscription", "TimeRange"]


@strawberry.type
class Query:
    """What can be asked about pipelines."""

    @field(
        "How a stream's pipeline does, over all servers (P7): the last 60 minutes, unless minutes or timeRange say "
        "otherwise.",
        requires=METRICS_READ,
    )
    async def pipeline_metrics(
        self,
        info: Info,
        stream: Annotated[strawberry.ID, strawberry.argument(description="The stream's name: sf-permit-events.")],
        minutes: Annotated[int | None, strawberry.argument(description="The last so many minutes.")] = UNSET,
        time_range: Annotated[
            TimeRange | None, strawberry.argument(description="From when to when; at most 30 days back.")
        ] = UNSET,
    ) -> PipelineMetrics:
        """Measured when it is asked."""
        wanted = given(time_range)
        span = domain.time_range(
            minutes=given(minutes),
            since=wanted.since if wanted else None,
            until=given(wanted.until) if wanted else None,
        )
        services, actor = info.context.services, info.context.actor
        return PipelineMetrics.of(await domain.measure(services, actor, stream, span))
