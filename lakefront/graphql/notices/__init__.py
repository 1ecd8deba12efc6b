"""Notices: which events tell whom, the webhooks that are told, and what became of each message."""

import strawberry

from lakefront.actor import NOTICES_MANAGE
from lakefront.domain import notices
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Info
from lakefront.graphql.declare import connection
from lakefront.graphql.fields import field
from lakefront.graphql.notices.manage import Mutation
from lakefront.graphql.notices.sent import NOTICES, Notice
from lakefront.graphql.notices.types import NoticeRule, NoticeStream, Webhook

__all__ = ["NOTICES", "Mutation", "Notice", "NoticeRule", "NoticeStream", "Query", "Webhook"]


@strawberry.type
class Query:
    """What can be asked about notices."""

    @field("The webhooks of your tenant, by name. Their secrets are never told.", requires=NOTICES_MANAGE)
    async def webhooks(self, info: Info) -> list[Webhook]:
        """The one use-case."""
        return [Webhook.of(one) for one in await notices.webhooks(info.context.services, info.context.actor)]

    @field("The notice rules of your tenant, by name.", requires=NOTICES_MANAGE)
    async def notice_rules(self, info: Info) -> list[NoticeRule]:
        """The one use-case."""
        return [NoticeRule.of(one) for one in await notices.rules(info.context.services, info.context.actor)]

    @field(
        "The streams whose events notice rules can be about, and what rules may name of them.", requires=NOTICES_MANAGE
    )
    async def notice_streams(self) -> list[NoticeStream]:
        """What the domain says of them."""
        return [NoticeStream.of(one) for one in notices.STREAMS.values()]

    notices: Connection[Notice] = connection(
        "What was sent to whom, and what could not be: oldest first unless asked otherwise.", requires=NOTICES_MANAGE
    )
