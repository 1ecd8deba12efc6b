"""The mutations of notice rules and webhooks. No answer but the one that makes it holds a secret."""

from datetime import timedelta
from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import NOTICES_MANAGE
from lakefront.domain import notices
from lakefront.graphql.context import Info
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.fields import given, mutation
from lakefront.graphql.integrations.types import TestIntegrationPayload
from lakefront.graphql.notices.types import (
    NoticeRuleInput,
    NoticeRulePayload,
    WebhookChangesInput,
    WebhookInput,
    WebhookPayload,
)

WebhookId = Annotated[strawberry.ID, strawberry.argument(description="The webhook, by its id.")]
IdempotencyKey = Annotated[
    str | None, strawberry.argument(description="The same key with the same arguments changes nothing more.")
]
DryRun = Annotated[bool | None, strawberry.argument(description="Check and report, but change nothing.")]

_MOST_HOURS = notices.MAX_OVERLAP // timedelta(hours=1)


@strawberry.type
class Mutation:
    """What can be done about notices."""

    @mutation(
        "Register a webhook. Its secret is in the answer alone: give it to your server, which verifies each delivery "
        "by it.",
        requires=NOTICES_MANAGE,
        limit="30/minute",
    )
    async def register_webhook(
        self,
        info: Info,
        webhook: Annotated[WebhookInput, strawberry.argument(name="input", description="The webhook.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> WebhookPayload:
        """The one use-case."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        made = await notices.register(services, actor, webhook.webhook(), idempotency_key=key, dry_run=dry)
        return WebhookPayload.of(made.webhook, made.secret, dry_run=dry)

    @mutation("Change a webhook; its secret stays.", requires=NOTICES_MANAGE, limit="30/minute")
    async def update_webhook(
        self,
        info: Info,
        webhook_id: WebhookId,
        changes: Annotated[WebhookChangesInput, strawberry.argument(name="input", description="What is to change.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> WebhookPayload:
        """The one use-case."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        made = await notices.update_webhook(
            services, actor, str(webhook_id), changes.changes(), idempotency_key=key, dry_run=dry
        )
        return WebhookPayload.of(made, dry_run=dry)

    @mutation(
        "Give a webhook a new secret, which is in the answer alone. For the overlap both sign each delivery, so that "
        "your server can be changed meanwhile; one that was left from before ends now.",
        requires=NOTICES_MANAGE,
        limit="10/minute",
    )
    async def rotate_webhook_secret(
        self,
        info: Info,
        webhook_id: WebhookId,
        overlap_hours: Annotated[
            int,
            strawberry.argument(description=f"Hours that the old one goes on signing, 0 to {_MOST_HOURS}; 0: not."),
        ] = 24,
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> WebhookPayload:
        """The one use-case."""
        if not 0 <= overlap_hours <= _MOST_HOURS:
            raise refused("overlapHours", f"Give 0 to {_MOST_HOURS} hours.")
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        overlap = timedelta(hours=overlap_hours)
        made = await notices.rotate(services, actor, str(webhook_id), overlap, idempotency_key=key, dry_run=dry)
        return WebhookPayload.of(made.webhook, made.secret, dry_run=dry)

    @mutation("Remove a webhook that no rule tells any more; the answer has it as it was.", requires=NOTICES_MANAGE)
    async def remove_webhook(
        self, info: Info, webhook_id: WebhookId, idempotency_key: IdempotencyKey = UNSET, dry_run: DryRun = False
    ) -> WebhookPayload:
        """The one use-case."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        gone = await notices.remove_webhook(services, actor, str(webhook_id), idempotency_key=key, dry_run=dry)
        return WebhookPayload.of(gone, dry_run=dry)

    @mutation(
        "Send an event of the type test to a webhook, be it disabled, to see whether it takes it.",
        requires=NOTICES_MANAGE,
        limit="10/minute",
    )
    async def test_webhook(self, info: Info, webhook_id: WebhookId, dry_run: DryRun = False) -> TestIntegrationPayload:
        """The one use-case."""
        services, actor = info.context.services, info.context.actor
        trial = await notices.try_out(services, actor, str(webhook_id), dry_run=bool(dry_run))
        return TestIntegrationPayload.of(trial)

    @mutation(
        "Make a notice rule, or let one be as it is given. It tells of events that come in from now on. You need to be "
        "allowed to read what it tells of; a dry run shows an example of it.",
        requires=NOTICES_MANAGE,
        limit="30/minute",
    )
    async def upsert_notice_rule(
        self,
        info: Info,
        rule: Annotated[NoticeRuleInput, strawberry.argument(name="input", description="The rule.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> NoticeRulePayload:
        """The one use-case."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        change = await notices.upsert(services, actor, rule.rule(), idempotency_key=key, dry_run=dry)
        return NoticeRulePayload.of(change, dry_run=dry)

    @mutation(
        "Remove a notice rule: what of it waits to be sent is skipped. The answer has it as it was.",
        requires=NOTICES_MANAGE,
    )
    async def remove_notice_rule(
        self,
        info: Info,
        rule_id: Annotated[strawberry.ID, strawberry.argument(description="The rule, by its id.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> NoticeRulePayload:
        """The one use-case."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        gone = await notices.remove(services, actor, str(rule_id), idempotency_key=key, dry_run=dry)
        return NoticeRulePayload.of(notices.RuleChange(gone, created=False, changed=True), dry_run=dry)
