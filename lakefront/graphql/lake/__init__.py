"""The lake: which objects it has."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import PERMITS_READ
from lakefront.db.query import All, Compare, Operator
from lakefront.domain import lake as domain
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Info
from lakefront.graphql.declare.arguments import page_request
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.declare.resolvers import connect
from lakefront.graphql.fields import field, given
from lakefront.graphql.lake.types import OBJECTS, LakeObject

__all__ = ["OBJECTS", "LakeObject", "Query"]


@strawberry.type
class Query:
    """What can be asked about the lake."""

    @field("The lake's objects of a stream, in the order in which they were opened (P4).", requires=PERMITS_READ)
    async def lake_objects(
        self,
        info: Info,
        stream: Annotated[strawberry.ID, strawberry.argument(description="The stream's name: sf-permit-events.")],
        since: Annotated[
            datetime | None, strawberry.argument(name="from", description="Only those opened then or later.")
        ] = UNSET,
        until: Annotated[
            datetime | None, strawberry.argument(name="to", description="Only those opened before then.")
        ] = UNSET,
        first: Annotated[
            int | None, strawberry.argument(description="Rows from the start of the range: 20 unless given.")
        ] = UNSET,
        after: Annotated[str | None, strawberry.argument(description="Only rows after this cursor.")] = UNSET,
        last: Annotated[
            int | None, strawberry.argument(description="Rows from the end of the range, instead of first.")
        ] = UNSET,
        before: Annotated[str | None, strawberry.argument(description="Only rows before this cursor.")] = UNSET,
    ) -> Connection[LakeObject]:
        """Pages of the manifest."""
        domain.require(info.context.actor, stream)
        pages = {"first": given(first), "after": given(after), "last": given(last), "before": given(before)}
        where = _opened(stream, given(since), given(until))
        return connect(info.context.loaders, LakeObject, replace(page_request(LakeObject, pages), where=where))


def _opened(stream: str, since: datetime | None, until: datetime | None) -> All:
    """Objects of ``stream`` that were opened in [since, until)."""
    if since is not None and until is not None and since >= until:
        raise refused("to", "It must be later than from, as what was opened then is not in the range.")
    parts = [Compare("stream", Operator.EQ, str(stream))]
    if since is not None:
        parts.append(Compare("opened_at", Operator.GTE, since))
    if until is not None:
        parts.append(Compare("opened_at", Operator.LT, until))
    return All(tuple(parts))
