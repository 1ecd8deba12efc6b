"""Notices as they were sent, or not: a type over the table, which never has their texts."""

from datetime import datetime

import strawberry

from lakefront.actor import NOTICES_MANAGE
from lakefront.db.query import Source
from lakefront.db.tables.notices import notices
from lakefront.graphql.declare import Record, column, record
from lakefront.graphql.notices.enums import Channel, NoticeState

NOTICES = Source(
    "Notice",
    notices,
    key=("notice_id",),
    scope=NOTICES_MANAGE,
    order=("created_at",),
    hidden=frozenset({"shard", "offset", "called_at"}),
)


@record(NOTICES)
class Notice(Record):
    """A message that a rule made of an event, and what became of it. Its text is not kept."""

    notice_id: strawberry.ID = column("Its id: a webhook is told it as webhook-id, SendGrid as reference.")
    state: NoticeState = column("Where it stands.")
    reason: str | None = column("Why it was skipped; null if it was not.")
    error_code: str | None = column("Why it failed or is uncertain, by its code; null if it is neither.")
    channel: Channel = column("By which way it goes.")
    recipient: str | None = column(
        "Whom it is for, masked: j…@e….com; null for chats, webhooks, and until it is known."
    )
    webhook_id: strawberry.ID | None = column("The webhook that it is for; null for other channels.")
    rule_id: strawberry.ID = column("The rule that made it.")
    rule_name: str = column("What the rule was called then.")
    stream: str = column("The stream of the event.")
    event_id: strawberry.ID = column("The event that it tells of.")
    event_type: str = column("What happened.")
    about: strawberry.ID = column("The permit, the service request that the event is about.")
    external_id: str | None = column("What its provider calls it, to ask there after it.")
    delivery: str | None = column("How far it got when it was handed over, as far as its provider told.")
    trace_id: str = column("The request that brought the event.")
    created_at: datetime = column("When the event was looked at.")
    ended_at: datetime | None = column("When it was sent, failed or was skipped; null while it is queued.")
