"""An estimate as GraphQL tells it."""

from typing import Final, Self

import strawberry

from lakefront.graphql.fields import attribute
from lakefront.graphql.plan.cost import FieldCost
from lakefront.graphql.plan.plan import Planned
from lakefront.graphql.scalars import BigInt

_MOST: Final = 2**63 - 1


@strawberry.type(description="What a root field costs with all that is in it.")
class CostOfField:
    """One root field."""

    name: str = attribute("The field's name in the answer: its alias, if it has one.")
    cost: BigInt = attribute("What it costs at most.")
    reason: str | None = attribute("Why it is not made by PostgreSQL alone; null where it is.")

    @classmethod
    def of(cls, found: FieldCost, reason: str | None) -> Self:
        """As the formula tells it."""
        return cls(name=found.path, cost=_bounded(found.total), reason=reason)


@strawberry.type(
    description="What an operation costs: the sum of its fields' weights (1 unless @cost says otherwise), each times "
    "the rows that are asked for around it."
)
class CostEstimate:
    """One estimate."""

    estimated: BigInt = attribute("What it costs at most; 2^63 - 1 stands for all that is more.")
    limit: int = attribute("The most that an operation may cost: past it, it is refused before it runs.")
    within_limit: bool = attribute("Whether it may run.")
    path: str = attribute("Where most of the cost is: the dotted path of a field in the answer.")
    formula: str = attribute("The cost as a formula over the variables that say how many rows.")
    tier: int = attribute(
        "How it is answered: 1, by one statement of PostgreSQL; 2, by that and by resolvers; 3, by resolvers alone."
    )
    fields: list[CostOfField] = attribute("The root fields.")

    @classmethod
    def of(cls, planned: Planned, limit: int) -> Self:
        """Of the operation with the variables with which it was planned."""
        plan, estimate = planned.plan, planned.estimate
        reasons = {root.key: root.reason for root in plan.roots}
        return cls(
            estimated=_bounded(estimate.total),
            limit=limit,
            within_limit=estimate.total <= limit,
            path=estimate.path,
            formula=str(plan.cost),
            tier=plan.tier,
            fields=[CostOfField.of(found, reasons.get(found.path)) for found in estimate.fields()],
        )


def _bounded(cost: int) -> BigInt:
    return BigInt(min(cost, _MOST))
