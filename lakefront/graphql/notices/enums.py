"""The domain's enums as GraphQL's: take them from here, so that they are described before any type uses them."""

from lakefront.domain.notices import Channel, Kind, NoticeState, Operator, RecipientKind
from lakefront.graphql.declare import described

__all__ = ["Channel", "Kind", "NoticeState", "Operator", "RecipientKind"]

described(
    Channel,
    "By which way somebody is told.",
    {
        Channel.MAIL: "By e-mail: the tenant's integration sendgrid.",
        Channel.SMS: "By text message: the tenant's integration twilio.",
        Channel.SLACK: "By a message into the channel of the tenant's integration slack.",
        Channel.WEBHOOK: "By a signed POST to a registered webhook.",
    },
    name="NoticeChannel",
)

described(
    RecipientKind,
    "Whom a notice rule tells.",
    {
        RecipientKind.REPORTER: "Who reported the service request, while it is known how to reach them.",
        RecipientKind.ADDRESS: "Always the same: an e-mail address, a telephone number.",
        RecipientKind.WEBHOOK: "A registered webhook.",
        RecipientKind.CHAT: "The channel of the tenant's integration slack.",
    },
    name="NoticeRecipientKind",
)

described(
    Operator,
    "How a notice rule tests a field of an event.",
    {
        Operator.IN: "It is one of the values; texts in whatever case.",
        Operator.NOT_IN: "It is none of the values, or the event does not say it.",
        Operator.AT_LEAST: "It is the value or more: numbers and times.",
        Operator.AT_MOST: "It is the value or less: numbers and times.",
        Operator.IS_KNOWN: "The event says it; without values.",
        Operator.IS_UNKNOWN: "The event does not say it; without values.",
    },
    name="NoticeOperator",
)

described(
    Kind,
    "What a field of an event holds.",
    {
        Kind.TEXT: "A text.",
        Kind.NUMBER: "A number.",
        Kind.BOOLEAN: "true or false.",
        Kind.MOMENT: "A time with its zone, in RFC 3339.",
    },
    name="NoticeFieldKind",
)

described(
    NoticeState,
    "Where a notice stands.",
    {
        NoticeState.QUEUED: "It waits to be sent, or is being sent.",
        NoticeState.SENT: "It was sent.",
        NoticeState.UNCERTAIN: "It may have been sent, nobody can tell: a dead letter waits for a person.",
        NoticeState.FAILED: "It was surely not sent; a dead letter waits.",
        NoticeState.SKIPPED: "There was nobody to tell, or nothing to tell of any more: see reason.",
    },
)
