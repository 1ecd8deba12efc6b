"""What operations cost: asked before they are sent (X5)."""

import asyncio
from typing import Annotated, Any, Final

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from lakefront.actor import SIGNED_IN
from lakefront.errors import ValidationError
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Info
from lakefront.graphql.cost.types import CostEstimate
from lakefront.graphql.fields import field, given
from lakefront.graphql.plan.document import InvalidDocument
from lakefront.graphql.plan.plan import Planned

__all__ = ["CostEstimate", "Query"]

PLANNING: Final = 10_000
"""What planning costs: a usual document takes some 3 ms, a hostile one 50."""


@strawberry.type
class Query:
    """What can be asked about costs."""

    @field(
        "What an operation costs with these variables. It is planned as you would run it, and not run.",
        requires=SIGNED_IN,
        weight=PLANNING,
    )
    async def estimate_cost(
        self,
        info: Info,
        document: Annotated[str, strawberry.argument(description="The GraphQL document.")],
        variables: Annotated[JSON | None, strawberry.argument(description="The variables, by their names.")] = UNSET,
        operation_name: Annotated[
            str | None, strawberry.argument(description="Which operation, where the document holds several.")
        ] = UNSET,
    ) -> CostEstimate:
        """Planned one after another: each keeps the event loop busy, so others go in between."""
        values: Any = {} if given(variables) is None else variables
        if not isinstance(values, dict):
            told = {"field": "variables", "message": "An object is needed: each variable by its name."}
            raise ValidationError(details=[told])
        async with info.context.planning:
            await asyncio.sleep(0)
            planned = _planned(info, OperationRequest(document, given(operation_name), values))
        return CostEstimate.of(planned, info.context.services.settings.graphql_max_cost)


def _planned(info: Info, request: OperationRequest) -> Planned:
    """The plan; raises ``LakefrontError``, for an invalid document too."""
    try:
        return info.context.planner.plan(request, info.context.actor)
    except InvalidDocument as invalid:
        details: list[dict[str, Any]] = [{"field": "document", "message": error.message} for error in invalid.errors]
        raise ValidationError("The document is not valid; details say why.", details=details) from None
