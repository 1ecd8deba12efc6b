"""Notices (C8): rules say which events tell whom, by which way, in which words; each message is sent once.

Projections turn events into rows of ``notices`` and jobs of the outbox, ``Sender`` carries these out. Webhooks are
registered receivers, each with a secret of its own, made here and told once.
"""

from lakefront.domain.notices.conditions import Condition, Operator
from lakefront.domain.notices.notice import NoticeState
from lakefront.domain.notices.planning import CONSUMER, KIND, projection
from lakefront.domain.notices.readers import CHANNEL, Readers
from lakefront.domain.notices.reporters import Reporters
from lakefront.domain.notices.rule import Channel, NoticeRule, RecipientKind, RuleInput
from lakefront.domain.notices.rules import Example, RuleChange, example, remove, rules, upsert
from lakefront.domain.notices.sending import Sender
from lakefront.domain.notices.streams import STREAMS, Field, Kind, Stream
from lakefront.domain.notices.webhook import NewWebhook, Webhook, WebhookChanges, WithSecret
from lakefront.domain.notices.webhooks import MAX_OVERLAP, register, rotate, try_out, webhooks
from lakefront.domain.notices.webhooks import remove as remove_webhook
from lakefront.domain.notices.webhooks import update as update_webhook

__all__ = [
    "CHANNEL",
    "CONSUMER",
    "KIND",
    "MAX_OVERLAP",
    "STREAMS",
    "Channel",
    "Condition",
    "Example",
    "Field",
    "Kind",
    "NewWebhook",
    "NoticeRule",
    "NoticeState",
    "Operator",
    "Readers",
    "RecipientKind",
    "Reporters",
    "RuleChange",
    "RuleInput",
    "Sender",
    "Stream",
    "Webhook",
    "WebhookChanges",
    "WithSecret",
    "example",
    "projection",
    "register",
    "remove",
    "remove_webhook",
    "rotate",
    "rules",
    "try_out",
    "update_webhook",
    "upsert",
    "webhooks",
]
