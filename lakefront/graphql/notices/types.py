"""Rules and webhooks as GraphQL tells them, and as they are given."""

from datetime import UTC, datetime
from typing import Self, cast

import strawberry
from msgspec import UNSET as LEFT_OUT
from strawberry import UNSET
from strawberry.scalars import JSON

from lakefront.domain import notices as domain
from lakefront.graphql.fields import attribute
from lakefront.graphql.notices.enums import Channel, Kind, Operator, RecipientKind
from lakefront.graphql.reports import DryRunReport
from lakefront.graphql.scalars import Secret


def report(changes: int, *, dry_run: bool) -> DryRunReport | None:
    """What a dry run would have done."""
    return DryRunReport(changes=changes, quota=0, outside_calls=0) if dry_run else None


@strawberry.type(description="A webhook: a receiver of yours, to whom events are told by signed POSTs.")
class Webhook:
    """One receiver."""

    webhook_id: strawberry.ID = attribute("Names it here.")
    name: str = attribute("What its maker called it.")
    url: str = attribute("Where it is.")
    has_path: bool = attribute("Whether a secret path comes behind the URL.")
    old_secret_until: datetime | None = attribute(
        "Until then the secret before this one signs, too; null where one secret alone does."
    )
    enabled: bool = attribute("Whether anything is sent there.")
    version: int = attribute("Grows by 1 with each change.")
    created_at: datetime = attribute("When it was registered.")
    updated_at: datetime = attribute("When it was last changed.")
    updated_by: str = attribute("Who changed it last.")

    @classmethod
    def of(cls, it: domain.Webhook) -> Self:
        """The domain's webhook."""
        until = it.old_secret_until
        return cls(
            webhook_id=strawberry.ID(it.webhook_id),
            name=it.name,
            url=it.url,
            has_path=it.has_path,
            old_secret_until=until if until and until > datetime.now(UTC) else None,
            enabled=it.enabled,
            version=it.version,
            created_at=it.created_at,
            updated_at=it.updated_at,
            updated_by=it.updated_by,
        )


@strawberry.input(description="A webhook as it is to be registered.")
class WebhookInput:
    """A receiver."""

    name: str = strawberry.field(description="What it is called: 1 to 100 printable characters.")
    url: str = strawberry.field(description="Where it is (https), without a query.")
    path: Secret | None = strawberry.field(
        default=UNSET,
        description="What comes behind the URL, with its query, where that is itself a secret: it is never told again.",
    )

    def webhook(self) -> domain.NewWebhook:
        """As the domain takes it."""
        return domain.NewWebhook(name=self.name, url=self.url, path=None if self.path is UNSET else self.path)


@strawberry.input(description="What is to change of a webhook; what is left out stays as it is.")
class WebhookChangesInput:
    """Changes of a receiver."""

    name: str | None = strawberry.field(default=UNSET, description="What it is called.")
    url: str | None = strawberry.field(
        default=UNSET, description="Where it is (https). At another host than before, give the path anew."
    )
    path: Secret | None = strawberry.field(default=UNSET, description="The secret path behind the URL. Null: none.")
    enabled: bool | None = strawberry.field(
        default=UNSET, description="Whether anything is sent there: meanwhile notices to it are skipped."
    )

    def changes(self) -> domain.WebhookChanges:
        """As the domain takes it; a null where none is meant is as if it were left out."""
        return domain.WebhookChanges(
            name=LEFT_OUT if self.name is UNSET or self.name is None else self.name,
            url=LEFT_OUT if self.url is UNSET or self.url is None else self.url,
            path=LEFT_OUT if self.path is UNSET else self.path,
            enabled=LEFT_OUT if self.enabled is UNSET or self.enabled is None else self.enabled,
        )


@strawberry.type(description="A webhook that was registered, changed or removed.")
class WebhookPayload:
    """The webhook; and its secret, once."""

    webhook: Webhook = strawberry.field(description="The webhook; on a dry run as it would be.")
    secret: str | None = strawberry.field(
        description="Its new secret, for your server, told this once; null where none was made, on a dry run, and when "
        "the mutation is repeated with its idempotency key."
    )
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")

    @classmethod
    def of(cls, it: domain.Webhook, secret: str = "", *, dry_run: bool) -> Self:
        """What the domain did, or would have done."""
        return cls(webhook=Webhook.of(it), secret=secret or None, report=report(1, dry_run=dry_run))


@strawberry.type(description="A test of an event's field.")
class NoticeCondition:
    """One test."""

    field: str = attribute("The field, by its name: noticeStreams tells which there are.")
    operator: Operator = attribute("How it is tested.")
    values: list[str] = attribute("With what; texts, whatever the field holds.")


@strawberry.input(description="A test of an event's field.")
class NoticeConditionInput:
    """One test."""

    field: str = strawberry.field(description="The field, by its name: noticeStreams tells which there are.")
    operator: Operator = strawberry.field(description="How it is tested.")
    values: list[str] | None = strawberry.field(
        default=UNSET, description='With what; texts, whatever the field holds: "250000", "true".'
    )


@strawberry.type(description="A notice rule: which events tell whom, by which way, in which words (C8).")
class NoticeRule:
    """One rule."""

    rule_id: strawberry.ID = attribute("Names it here.")
    name: str = attribute("What its maker called it.")
    stream: str = attribute("The stream whose events it is about.")
    event_types: list[str] = attribute("The types of events that it is about.")
    conditions: list[NoticeCondition] = attribute("What has to hold of an event: all of it.")
    channel: Channel = attribute("By which way it tells.")
    recipient_kind: RecipientKind = attribute("Whom it tells.")
    address: str | None = attribute("The e-mail address or telephone number that it tells; null for other recipients.")
    webhook_id: strawberry.ID | None = attribute("The webhook that it tells; null for other recipients.")
    subject: str | None = attribute("A mail's subject, with places for fields.")
    text: str | None = attribute("The text, with places for fields; null for a webhook that is told the fields alone.")
    most_daily: int = attribute("Notices that it makes within 24 hours at most; those beyond are skipped.")
    enabled: bool = attribute("Whether it tells anybody.")
    version: int = attribute("Grows by 1 with each change.")
    created_at: datetime = attribute("When it was made.")
    updated_at: datetime = attribute("When it was last changed.")
    updated_by: str = attribute("Who changed it last.")

    @classmethod
    def of(cls, it: domain.NoticeRule) -> Self:
        """The domain's rule."""
        return cls(
            rule_id=strawberry.ID(it.rule_id),
            name=it.name,
            stream=it.stream,
            event_types=list(it.event_types),
            conditions=[
                NoticeCondition(field=each.field, operator=each.operator, values=list(each.values))
                for each in it.conditions
            ],
            channel=it.channel,
            recipient_kind=it.recipient_kind,
            address=it.address,
            webhook_id=strawberry.ID(it.webhook_id) if it.webhook_id else None,
            subject=it.subject,
            text=it.text,
            most_daily=it.most_daily,
            enabled=it.enabled,
            version=it.version,
            created_at=it.created_at,
            updated_at=it.updated_at,
            updated_by=it.updated_by,
        )


@strawberry.input(description="A notice rule as it is to be, whole: what is left out is not there, or its default.")
class NoticeRuleInput:
    """A rule."""

    name: str = strawberry.field(description="What it is called: 1 to 100 printable characters.")
    stream: str = strawberry.field(description="The stream whose events it is about: noticeStreams.")
    event_types: list[str] = strawberry.field(description="The types of events that it is about.")
    channel: Channel = strawberry.field(description="By which way it tells.")
    recipient_kind: RecipientKind = strawberry.field(description="Whom it tells.")
    rule_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The rule that is to be so; left out, it is a new one."
    )
    conditions: list[NoticeConditionInput] | None = strawberry.field(
        default=UNSET, description="What has to hold of an event: all of it. None: any event of these types."
    )
    address: str | None = strawberry.field(
        default=UNSET, description="For the recipient ADDRESS: an e-mail address, a number as +12125550123."
    )
    webhook_id: strawberry.ID | None = strawberry.field(default=UNSET, description="For the recipient WEBHOOK.")
    subject: str | None = strawberry.field(default=UNSET, description="A mail's subject; its places are as a text's.")
    text: str | None = strawberry.field(
        default=UNSET, description="The text: ${newStatus} stands for that field of the event, $$ for a dollar sign."
    )
    most_daily: int | None = strawberry.field(
        default=UNSET, description="Notices that it makes within 24 hours at most; 1,000 if left out."
    )
    enabled: bool | None = strawberry.field(default=UNSET, description="Whether it tells anybody; true if left out.")

    def rule(self) -> domain.RuleInput:
        """As the domain takes it."""
        return domain.RuleInput(
            name=self.name,
            stream=self.stream,
            event_types=tuple(self.event_types),
            channel=self.channel,
            recipient_kind=self.recipient_kind,
            rule_id=str(self.rule_id) if self.rule_id else None,
            conditions=tuple(
                domain.Condition(each.field, each.operator, tuple(each.values or ())) for each in self.conditions or ()
            ),
            address=self.address or None,
            webhook_id=str(self.webhook_id) if self.webhook_id else None,
            subject=self.subject or None,
            text=self.text or None,
            most_daily=1000 if self.most_daily is UNSET or self.most_daily is None else self.most_daily,
            enabled=self.enabled is UNSET or self.enabled is not False,
        )


@strawberry.type(description="What a rule would send of a made-up event.")
class NoticeExample:
    """An example."""

    subject: str | None = strawberry.field(description="A mail's subject.")
    text: str | None = strawberry.field(description="The text.")
    event: JSON | None = strawberry.field(description="What a webhook would be told of the event.")


@strawberry.type(description="A notice rule that was made, changed or removed.")
class NoticeRulePayload:
    """The rule, and what it would send."""

    rule: NoticeRule = strawberry.field(description="The rule; on a dry run as it would be.")
    created: bool = strawberry.field(description="Whether it was not there before.")
    changed: bool = strawberry.field(description="Whether anything of it is new.")
    example: NoticeExample = strawberry.field(description="What it would send of a made-up event.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")

    @classmethod
    def of(cls, change: domain.RuleChange, *, dry_run: bool) -> Self:
        """What the domain did, or would have done."""
        shown = domain.example(change.rule)
        return cls(
            rule=NoticeRule.of(change.rule),
            created=change.created,
            changed=change.changed,
            example=NoticeExample(subject=shown.subject, text=shown.text, event=cast("JSON | None", shown.data)),
            report=report(int(change.changed), dry_run=dry_run),
        )


@strawberry.type(description="A field that events of a stream may have.")
class NoticeField:
    """One field."""

    name: str = attribute("Its name in conditions and texts.")
    kind: Kind = attribute("What it holds.")
    example: str = attribute("What it may say.")


@strawberry.type(description="A stream whose events notice rules can be about.")
class NoticeStream:
    """One stream."""

    name: str = attribute("Its name.")
    event_types: list[str] = attribute("The types of its events.")
    fields: list[NoticeField] = attribute("What conditions and texts may name. Not every event has all of them.")

    @classmethod
    def of(cls, it: domain.Stream) -> Self:
        """The domain's stream."""
        return cls(
            name=it.name,
            event_types=sorted(it.event_types),
            fields=[
                NoticeField(name=name, kind=field.kind, example=str(field.example)) for name, field in it.fields.items()
            ],
        )
