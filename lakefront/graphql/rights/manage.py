"""The mutations that change the policy."""

from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import POLICIES_MANAGE
from lakefront.domain.rights import rules
from lakefront.graphql.context import Info
from lakefront.graphql.fields import given, mutation
from lakefront.graphql.rights.types import PolicyRuleInput, PolicyRulePayload

IdempotencyKey = Annotated[
    str | None, strawberry.argument(description="The same key with the same arguments gives the first answer again.")
]
DryRun = Annotated[bool | None, strawberry.argument(description="Check and report, but change nothing.")]


@strawberry.type
class Mutation:
    """What can be done about rights."""

    @mutation(
        "Add a rule to the policy, in place of one with the same role, domain, object and action. It holds on every "
        "server within a second.",
        requires=POLICIES_MANAGE,
    )
    async def add_policy_rule(
        self,
        info: Info,
        rule: Annotated[PolicyRuleInput, strawberry.argument(description="The rule.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> PolicyRulePayload:
        """One use-case."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        added = await rules.add(services, actor, rule.rule(), idempotency_key=key, dry_run=dry)
        return PolicyRulePayload.of(added, dry_run=dry)

    @mutation("Remove a rule that was added. It holds no more on any server within a second.", requires=POLICIES_MANAGE)
    async def remove_policy_rule(
        self,
        info: Info,
        rule_id: Annotated[strawberry.ID, strawberry.argument(description="The rule's id, as policyRules has it.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> PolicyRulePayload:
        """One use-case."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        removed = await rules.remove(services, actor, rule_id, idempotency_key=key, dry_run=dry)
        return PolicyRulePayload.of(removed, dry_run=dry)
