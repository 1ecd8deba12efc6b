"""What a plan says of itself to people: tier, cost, rights, SQL, and why a field is left to resolvers."""

from collections.abc import Iterator
from dataclasses import dataclass

from graphql import GraphQLError

from lakefront.actor import Actor
from lakefront.errors import LakefrontError
from lakefront.graphql.plan.cost import Estimate, FieldCost
from lakefront.graphql.plan.live_run import statements_of
from lakefront.graphql.plan.pick import NotCompiled
from lakefront.graphql.plan.plan import Plan, Planned
from lakefront.graphql.plan.statements import Statements


@dataclass(frozen=True, slots=True)
class RootField:
    """A root field of the answer, by its response name; ``reason`` says why ``path`` keeps it from being SQL."""

    cost: FieldCost
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


def explain(planned: Planned, statements: Statements, actor: Actor) -> Explanation:
    """Explain the plan; its statement is compiled, and not run."""
    plan, sql, refused, mistake = planned.plan, None, None, None
    try:
        if plan.compiled is not None:
            sql = statements.sql(planned, actor)
        elif plan.live is not None:
            sql = statements_of(plan.live, planned, statements, actor)
    except NotCompiled as why:
        refused, told = why.reason, why.__cause__
        mistake = told.message if isinstance(told, LakefrontError | GraphQLError) else None
    return Explanation(
        kind=plan.operation.operation.value,
        tier=plan.tier if refused is None else 3,
        estimate=planned.estimate,
        permissions=tuple(sorted(plan.permissions)),
        fields=tuple(_fields(plan, planned.estimate, refused)),
        sql=sql,
        mistake=mistake,
    )


def _fields(plan: Plan, estimate: Estimate, refused: str | None) -> Iterator[RootField]:
    """``refused`` is why the values of this request leave it all to resolvers, where they do."""
    costs = {cost.path: cost for cost in estimate.fields()}
    for root in plan.roots:
        reason = root.reason or refused
        yield RootField(costs[root.key], reason, ".".join((root.key, *root.path)) if root.reason else None)
