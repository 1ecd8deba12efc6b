"""What a notice rule is: which events tell whom, by which way, in which words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from lakefront.adapters.messages import mail_address, telephone
from lakefront.db.database import Transaction
from lakefront.domain.cities import invalid
from lakefront.domain.notices import conditions, templates
from lakefront.domain.notices.changing import MAX_NAME, is_name
from lakefront.domain.notices.conditions import Condition
from lakefront.domain.notices.streams import STREAMS, Stream
from lakefront.domain.service_requests import STREAM as SERVICE_REQUESTS
from lakefront.domain.service_requests import Origin


class Channel(StrEnum):
    """By which way somebody is told."""

    MAIL = "MAIL"
    SMS = "SMS"
    SLACK = "SLACK"
    WEBHOOK = "WEBHOOK"


class RecipientKind(StrEnum):
    """Whom a rule tells."""

    REPORTER = "REPORTER"
    """Who reported the request that the event is about."""
    ADDRESS = "ADDRESS"
    """Always the same: an e-mail address, a telephone number."""
    WEBHOOK = "WEBHOOK"
    CHAT = "CHAT"
    """The channel of the tenant's Slack integration."""


PROVIDERS: Final[Mapping[Channel, str]] = {
    Channel.MAIL: "sendgrid",
    Channel.SMS: "twilio",
    Channel.SLACK: "slack",
    Channel.WEBHOOK: "webhook",
}
"""Who carries the messages of a channel."""

_KINDS: Final[Mapping[Channel, frozenset[RecipientKind]]] = {
    Channel.MAIL: frozenset({RecipientKind.REPORTER, RecipientKind.ADDRESS}),
    Channel.SMS: frozenset({RecipientKind.REPORTER, RecipientKind.ADDRESS}),
    Channel.SLACK: frozenset({RecipientKind.CHAT}),
    Channel.WEBHOOK: frozenset({RecipientKind.WEBHOOK}),
}

MOST_EVENT_TYPES: Final = 50

MOST_DAILY: Final = 1_000_000
"""Notices that a rule may be allowed in a day."""

COLUMNS: Final = (
    "rule_id, name, stream, event_types, conditions, channel, recipient_kind, address, webhook_id, subject, text, "
    "most_daily, enabled, since, version, created_at, updated_at, updated_by"
)
"""Of a row, in the order of ``NoticeRule``."""


@dataclass(frozen=True, slots=True)
class NoticeRule:
    """A rule. ``since``: shard -> the first offset that it holds for; a shard that is not named: all of it.

    ``most_daily``: notices within any 24 hours; those beyond are skipped, so that a mistake is not told to everybody.

    Its repr shows no address.
    """

    rule_id: str
    name: str
    stream: str
    event_types: tuple[str, ...]
    conditions: tuple[Condition, ...]
    channel: Channel
    recipient_kind: RecipientKind
    address: str | None
    webhook_id: str | None
    subject: str | None
    text: str | None
    most_daily: int
    enabled: bool
    since: dict[str, int]
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str

    def test(self) -> Callable[[int, int, Mapping[str, Any]], bool]:
        """What tells whether the rule tells of an event (as ``streams.told`` gives it) at a shard's offset."""
        passes = conditions.test_of(STREAMS[self.stream], self.conditions)
        types, since = frozenset(self.event_types), {int(shard): offset for shard, offset in self.since.items()}
        # Of what the city published nobody is known who reported it.
        ours_alone = self.recipient_kind is RecipientKind.REPORTER

        def holds(shard: int, offset: int, event: Mapping[str, Any]) -> bool:
            return (
                offset >= since.get(shard, 0)
                and event["eventType"] in types
                and (not ours_alone or event.get("source", Origin.LAKEFRONT) == Origin.LAKEFRONT)
                and passes(event)
            )

        return holds

    def __repr__(self) -> str:
        return f"NoticeRule({self.rule_id!r}, {self.name!r}, version={self.version})"


class RuleInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule as it is to be, whole. ``rule_id`` None: a new one.

    ``address`` goes with ADDRESS, ``webhook_id`` with WEBHOOK. ``subject`` is of mails alone; a webhook is told the
    event's fields, and a text where there is one.
    """

    name: str
    stream: str
    event_types: tuple[str, ...]
    channel: Channel
    recipient_kind: RecipientKind
    rule_id: str | None = None
    conditions: tuple[Condition, ...] = ()
    address: Annotated[str, Meta(max_length=320)] | None = None
    webhook_id: str | None = None
    subject: str | None = None
    text: str | None = None
    most_daily: int = 1000
    enabled: bool = True

    def __repr__(self) -> str:
        return f"RuleInput({self.name!r}, …)"


def stream_of(name: str) -> Stream:
    """The stream of that name; raises ``ValidationError`` where rules cannot be about it."""
    if name not in STREAMS:
        raise invalid("stream", f"Rules are about one of these streams: {', '.join(STREAMS)}.")
    return STREAMS[name]


def checked(given: RuleInput) -> RuleInput:
    """``given`` with its address as providers take it; raises ``ValidationError`` for what could never be sent."""
    stream = stream_of(given.stream)
    if not is_name(given.name):
        raise invalid("name", f"A name has 1 to {MAX_NAME} printable characters.")
    if not 1 <= len(given.event_types) <= MOST_EVENT_TYPES or not set(given.event_types) <= stream.event_types:
        there = ", ".join(sorted(stream.event_types))
        raise invalid("eventTypes", f"Name one or more of the event types of {stream.name}: {there}.")
    if not 1 <= given.most_daily <= MOST_DAILY:
        raise invalid("mostDaily", f"A rule makes 1 to {MOST_DAILY:,} notices a day.")
    conditions.check(stream, given.conditions)
    _check_texts(given, stream)
    return msgspec.structs.replace(given, address=_address(given), event_types=tuple(sorted(set(given.event_types))))


def _address(given: RuleInput) -> str | None:
    """The recipient's address where the rule has one; raises ``ValidationError`` where it tells nobody, or two."""
    if given.recipient_kind not in _KINDS[given.channel]:
        may = " or ".join(sorted(_KINDS[given.channel]))
        raise invalid("recipientKind", f"By {given.channel} a rule tells {may}.")
    if given.recipient_kind is RecipientKind.REPORTER and given.stream != SERVICE_REQUESTS:
        raise invalid("recipientKind", f"Only events of {SERVICE_REQUESTS} have somebody who reported them.")
    for kind, field, value in (
        (RecipientKind.ADDRESS, "address", given.address),
        (RecipientKind.WEBHOOK, "webhookId", given.webhook_id),
    ):
        if (value is not None) is not (given.recipient_kind is kind):
            raise invalid(field, f"Give it where the recipient is {kind}, and only there.")
    if given.address is None:
        return None
    return (mail_address if given.channel is Channel.MAIL else telephone)(given.address, "address")


def _check_texts(given: RuleInput, stream: Stream) -> None:
    if (given.subject is not None) is not (given.channel is Channel.MAIL):
        raise invalid("subject", "A mail has a subject, and nothing else has one.")
    if given.text is None and given.channel is not Channel.WEBHOOK:
        raise invalid("text", "Give the text that is to be sent.")
    if given.subject is not None:
        if not given.subject.isprintable():
            raise invalid("subject", "A subject is one line of printable characters.")
        templates.check(stream, "subject", given.subject, most=templates.MOST_SUBJECT)
    if given.text is not None:
        templates.check(stream, "text", given.text, most=templates.MOST_TEXT)


def of_row(row: Any) -> NoticeRule:
    """The rule of a row that has ``COLUMNS``."""
    return msgspec.convert(dict(row), NoticeRule, strict=False)


async def read(transaction: Transaction, tenant: str, *, stream: str | None = None) -> list[NoticeRule]:
    """The tenant's rules, by name; those of ``stream`` that are enabled, if it is given."""
    rows = await transaction.fetch(
        f"SELECT {COLUMNS} FROM lakefront.notice_rules "  # noqa: S608 - names of our own columns
        "WHERE tenant_id = $1 AND ($2::text IS NULL OR (stream = $2 AND enabled)) ORDER BY name, rule_id",
        *(tenant, stream),
    )
    return [of_row(row) for row in rows]


async def read_one(transaction: Transaction, tenant: str, rule_id: str, *, lock: bool = False) -> NoticeRule | None:
    """One rule, None if there is none; with ``lock`` nobody else changes it while the transaction lasts."""
    if "\0" in rule_id:
        return None
    rows = await transaction.fetch(
        f"SELECT {COLUMNS} FROM lakefront.notice_rules "  # noqa: S608 - names of our own columns
        f"WHERE tenant_id = $1 AND rule_id = $2{' FOR UPDATE' if lock else ''}",
        *(tenant, rule_id),
    )
    return of_row(rows[0]) if rows else None
