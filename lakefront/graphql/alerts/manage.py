"""The mutations of alerts."""

from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import ALERTS_MANAGE, METRICS_READ
from lakefront.domain import alerts, reads
from lakefront.graphql.alerts.types import ALERTS, AcknowledgeAlertPayload, Alert, AlertRuleInput, AlertRulePayload
from lakefront.graphql.context import Info
from lakefront.graphql.fields import given, mutation
from lakefront.graphql.reports import DryRunReport

IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(description="The same key with the same arguments changes nothing more."),
]
DryRun = Annotated[bool | None, strawberry.argument(description="Check and report, but change nothing.")]


@strawberry.type
class Mutation:
    """What can be done about alerts."""

    @mutation(
        "Say that you look after an alert: here, and to whoever is on call. Who said so first stays.",
        requires=ALERTS_MANAGE,
        limit="30/minute",
    )
    async def acknowledge_alert(
        self,
        info: Info,
        alert_id: Annotated[strawberry.ID, strawberry.argument(description="The alert.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> AcknowledgeAlertPayload:
        """The one use-case."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        done = await alerts.acknowledge(
            *(services, actor, str(alert_id)), idempotency_key=key, dry_run=dry, trace_id=info.context.trace_id
        )
        found = None
        if actor.holds(METRICS_READ):  # who may acknowledge need not be one who may see alerts
            [found] = await reads.by_keys(services, actor, ALERTS, [(done.alert_id,)])
        report = DryRunReport(changes=int(done.changed), quota=0, outside_calls=0)
        return AcknowledgeAlertPayload(
            alert=None if found is None else Alert(row=found),
            changed=done.changed,
            report=report if dry else None,
        )

    @mutation(
        "Make a rule, or change the one of that name. It holds from the next look on, within seconds.",
        requires=ALERTS_MANAGE,
        limit="30/minute",
    )
    async def upsert_alert_rule(
        self,
        info: Info,
        rule: Annotated[AlertRuleInput, strawberry.argument(name="input", description="The rule.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> AlertRulePayload:
        """The one use-case."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        done = await alerts.upsert(services, actor, rule.rule(), idempotency_key=key, dry_run=dry)
        return AlertRulePayload.of(done, dry_run=dry)
