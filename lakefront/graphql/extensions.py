"""What an answer tells beside its data, to whoever asks for it in the request's ``extensions`` (X5, ADR 0022).

``{"cost": true}`` is answered by ``extensions.cost {estimated, actual, limit}``, ``{"plan": true}``, for those who may
change the policy, by ``extensions.plan``. Nobody else pays for them.
"""

from typing import Any, Final

import orjson

from lakefront.actor import POLICIES_MANAGE, Actor
from lakefront.errors import BadRequest, Forbidden
from lakefront.graphql.answers import Answer, OperationRequest
from lakefront.graphql.plan.explain import Explanation, explain
from lakefront.graphql.plan.plan import Planned
from lakefront.graphql.plan.statements import Statements

COST: Final = "cost"
PLAN: Final = "plan"


def check_asked(request: OperationRequest, actor: Actor) -> None:
    """Pass if ``actor`` may have the extensions that are asked for.

    Raises ``Forbidden``, and ``BadRequest`` for an extension of ours that is neither true nor false.
    """
    for name in (COST, PLAN):
        if not isinstance(request.extensions.get(name), bool | None):
            raise BadRequest(f"'extensions.{name}' must be true or false.")
    if request.extensions.get(PLAN) is True and not actor.holds(POLICIES_MANAGE):
        raise Forbidden(
            f"extensions.plan needs the scope '{POLICIES_MANAGE}'. Leave it out; extensions.cost and estimateCost are "
            "for everybody.",
            scope=POLICIES_MANAGE,
        )


def asked_of(request: OperationRequest) -> frozenset[str]:
    """Which of ours are asked for: clients send others of their own (Apollo's tells its version)."""
    return frozenset(name for name in (COST, PLAN) if request.extensions.get(name) is True)


def extended(answer: Answer, planned: Planned, actor: Actor, statements: Statements, limit: int) -> Answer:
    """``answer`` with the extensions that its request asks for; ``limit`` is the most that an operation may cost."""
    asked = planned.request.extensions
    if not asked or not answer.executed:
        return answer
    members: dict[str, Any] = {}
    if asked.get(COST) is True:
        members[COST] = cost_of(answer, planned, limit)
    if asked.get(PLAN) is True:
        members[PLAN] = plan_of(explain(planned, statements, actor, answer.tier))
    if members:
        answer.extensions = {**(answer.extensions or {}), **members}
    return answer


def cost_of(answer: Answer, planned: Planned, limit: int) -> dict[str, int]:
    """``extensions.cost``; data that PostgreSQL wrote is parsed for it."""
    data = answer.data if answer.raw is None else orjson.loads(answer.raw)
    return {"estimated": planned.estimate.total, "actual": planned.plan.cost.actual(data), "limit": limit}


def plan_of(explanation: Explanation) -> dict[str, Any]:
    """``extensions.plan``."""
    estimate = explanation.estimate
    return {
        "kind": explanation.kind,
        "tier": explanation.tier,
        "cost": {"estimated": estimate.total, "path": estimate.path, "formula": str(estimate.formula)},
        "permissions": list(explanation.permissions),
        "fields": [
            {
                "name": field.cost.path,
                "cost": field.cost.total,
                "compiled": field.compiled,
                "reason": field.reason,
                "path": field.path,
            }
            for field in explanation.fields
        ],
        "sql": explanation.sql,
        "mistake": explanation.mistake,
    }
