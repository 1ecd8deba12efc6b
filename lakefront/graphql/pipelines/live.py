"""The subscription to a pipeline's numbers."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

import strawberry

from lakefront.actor import METRICS_READ
from lakefront.domain import pipelines as domain
from lakefront.graphql.context import Info
from lakefront.graphql.fields import subscription
from lakefront.graphql.pipelines.types import PipelineMetrics


@strawberry.type
class Subscription:
    """What can be followed about pipelines."""

    @subscription(
        "A pipeline's numbers of the last 60 minutes: at once, at the given pace, and whenever a batch was sealed.",
        requires=METRICS_READ,
    )
    async def metrics_updated(
        self,
        info: Info,
        stream: Annotated[strawberry.ID, strawberry.argument(description="The stream's name: sf-permit-events.")],
        every: Annotated[
            int, strawberry.argument(description=f"Seconds between two deliveries, 1 to {domain.MAX_PACE}.")
        ] = domain.PACE,
    ) -> AsyncIterator[PipelineMetrics]:
        """As they are, again and again."""
        async with aclosing(domain.watch(info.context.services, info.context.actor, stream, every=every)) as measured:
            async for metrics in measured:
                yield PipelineMetrics.of(metrics)
