"""Outside systems: how a tenant reaches them, and what can be set up."""

import strawberry

from lakefront.actor import INTEGRATIONS_MANAGE
from lakefront.domain import integrations
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Info
from lakefront.graphql.declare import connection
from lakefront.graphql.fields import field
from lakefront.graphql.integrations.changes import CHANGES, IntegrationChange
from lakefront.graphql.integrations.manage import Mutation
from lakefront.graphql.integrations.types import Integration, IntegrationProvider

__all__ = ["CHANGES", "Integration", "IntegrationChange", "IntegrationProvider", "Mutation", "Query"]


@strawberry.type
class Query:
    """What can be asked about integrations."""

    @field(
        "How your tenant reaches outside systems, by provider and city. Credentials are never told: only which are "
        "set, and since when.",
        requires=INTEGRATIONS_MANAGE,
    )
    async def integrations(self, info: Info) -> list[Integration]:
        """The one use-case, as REST calls it."""
        found = await integrations.integrations(info.context.services, info.context.actor)
        return [Integration.of(one) for one in found]

    @field("The outside systems that can be set up here, by their names.", requires=INTEGRATIONS_MANAGE)
    async def integration_providers(self) -> list[IntegrationProvider]:
        """What their adapters say of themselves."""
        return [IntegrationProvider.of(adapter) for adapter in integrations.available()]

    integration_changes: Connection[IntegrationChange] = connection(
        "Who changed what of integrations, oldest first unless asked otherwise; never with values.",
        requires=INTEGRATIONS_MANAGE,
    )
