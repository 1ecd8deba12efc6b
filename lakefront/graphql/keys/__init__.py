"""API keys: a tenant's own, listed and managed."""

import strawberry

from lakefront.actor import KEYS_MANAGE
from lakefront.domain import api_keys
from lakefront.graphql.context import Info
from lakefront.graphql.fields import field
from lakefront.graphql.keys.manage import Mutation
from lakefront.graphql.keys.types import ApiKey

__all__ = ["ApiKey", "Mutation", "Query"]


@strawberry.type
class Query:
    """What can be asked about keys."""

    @field("Your tenant's API keys, newest first; those that ended as well, the latest of them.", requires=KEYS_MANAGE)
    async def api_keys(self, info: Info) -> list[ApiKey]:
        """What is kept of them; their texts are not."""
        return [ApiKey.of(key) for key in await api_keys.keys(info.context.services, info.context.actor)]
