"""What a plan says of itself to people: tier, cost, rights, SQL, and why a field is left to resolvers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from graphql import GraphQLError

from lakefront.actor import Actor
from lakefront.errors import LakefrontError
from lakefront.graphql.plan.cost import Estimate, FieldCost
from lakefront.graphql.plan.live_run import statements_of
from lakefront.graphql.plan.pick import NotCompiled
from lakefront.graphql.plan.plan import Plan, Planned
from lakefront.graphql.plan.statements import Statements

FELL_BACK: Final = "what was compiled failed, and resolvers answered instead"


@dataclass(frozen=True, slots=True)
class RootField:
    """A root field of the answer, by its response name; ``reason`` says why ``path`` keeps it from being SQL.

    Without a reason of its own a field is left to resolvers where another one keeps the only statement from running.
    """

    cost: FieldCost
    compiled: bool
    reason: str | None
    path: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A plan with the variables of one request, for whoever planned it; ``sql`` makes the compiled root fields.

    ``mistake`` is what is wrong with an argument of those: their answer would be an error that tells it.
    """

    kind: str
    tier: int
    estimate: Estimate
    permissions: tuple[str, ...]
    fields: tuple[RootField, ...]
    sql: str | None
    mistake: str | None = None


def explain(planned: Planned, statements: Statements, actor: Actor, answered: int | None = None) -> Explanation:
    """Explain the plan; its statement is compiled, and not run. ``answered`` is the tier that did answer, if any."""
    plan, sql, mistake = planned.plan, None, None
    refused: NotCompiled | None = None
    try:
        if plan.compiled is not None:
            sql = statements.sql(planned, actor)
        elif plan.live is not None:
            sql = statements_of(plan.live, planned, statements, actor)
    except NotCompiled as why:
        refused, told = why, why.__cause__
        mistake = told.message if isinstance(told, LakefrontError | GraphQLError) else None
    tier = plan.tier if refused is None else 3
    if answered is not None and answered > tier:
        tier, refused = answered, NotCompiled(FELL_BACK)
    return Explanation(
        kind=plan.operation.operation.value,
        tier=tier,
        estimate=planned.estimate,
        permissions=tuple(sorted(plan.permissions)),
        fields=tuple(_fields(plan, planned.estimate, refused)),
        sql=sql,
        mistake=mistake,
    )


def _fields(plan: Plan, estimate: Estimate, refused: NotCompiled | None) -> Iterator[RootField]:
    """``refused`` is why the values of this request leave it all to resolvers, where they do."""
    costs = {cost.path: cost for cost in estimate.fields()}
    blamed = refused.path[0] if refused is not None and refused.path else None
    for root in plan.roots:
        reason, path = root.reason, (root.key, *root.path) if root.reason is not None else ()
        compiled = reason is None and refused is None
        if refused is not None and reason is None and blamed in (None, root.key):
            reason, path = refused.reason, refused.path or (root.key,)
        yield RootField(costs[root.key], compiled, reason, ".".join(path) or None)
