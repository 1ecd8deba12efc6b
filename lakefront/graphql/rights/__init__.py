"""Rights: who one is, what one may do, and the rules that say so."""

import strawberry

from lakefront.actor import POLICIES_MANAGE, SIGNED_IN
from lakefront.domain.rights import rules
from lakefront.graphql.context import Info
from lakefront.graphql.fields import field
from lakefront.graphql.rights.manage import Mutation
from lakefront.graphql.rights.types import Actor, PolicyRule

__all__ = ["Actor", "Mutation", "PolicyRule", "Query"]


@strawberry.type
class Query:
    """What can be asked about rights."""

    @field("Who you are, and what you may do: for everybody who is signed in.", requires=SIGNED_IN)
    async def me(self, info: Info) -> Actor:
        """The actor itself."""
        return Actor.of(info.context.actor)

    @field(
        "The rules of who may do what. The first that fits decides, those that were added before the checked-in ones "
        "and among each the more specific before the others.",
        requires=POLICIES_MANAGE,
    )
    async def policy_rules(self, info: Info) -> list[PolicyRule]:
        """The rules that were added, then the checked-in ones."""
        found = await rules.listed(info.context.services, info.context.actor)
        return [PolicyRule.of(rule) for rule in found]
