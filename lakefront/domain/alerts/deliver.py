"""Telling the outside of an alert: the jobs of the outbox that page, and that tell the tenant's own server."""

from typing import Any, Final

from lakefront.adapters.messages import Alert as Page
from lakefront.adapters.messages import Notification, Severity
from lakefront.adapters.providers.pagerduty import PagerDuty
from lakefront.adapters.providers.webhook import Webhook
from lakefront.db.database import Transaction
from lakefront.domain import integrations, outbox
from lakefront.domain.alerts import alert as alerts
from lakefront.domain.alerts.alert import PAGE, TELL, Alert, AlertState
from lakefront.domain.alerts.publish import EVENT_TYPES, told
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError, NotFound

SEVERITIES: Final = {1: Severity.CRITICAL, 2: Severity.ERROR, 3: Severity.WARNING}
"""Of the levels."""

_CHANGE: Final = """
SELECT c.alert_id, c.version, c.state, c.value, c.changed_at, a.rule_id, a.metric, a.provider, a.city, a.level,
  a.summary, a.threshold, a.fired_at
FROM lakefront.alert_changes c JOIN lakefront.alerts a USING (tenant_id, alert_id)
WHERE c.tenant_id = $1 AND c.alert_id = $2 AND c.version = $3
"""


async def _nothing(_: Transaction) -> None:
    """The alert's row says nothing of who was told: the outbox does."""


class Pager:
    """Whoever is on call is told where the alert stands by now, which may be further than when the job was made.

    PagerDuty knows an alert by its key, and jobs of one alert are done in their order: to tell it again is safe, and
    what is over is never triggered.
    """

    kind = PAGE

    async def run(self, services: Services, job: outbox.Job) -> None:
        """See ``outbox.Handler``."""
        with outbox.nothing_sent():
            pager = await integrations.adapter(services, PagerDuty, job.tenant)
            async with services.database.transaction(job.tenant) as transaction:
                alert = await alerts.find(transaction, job.tenant, job.payload["alertId"])
            if alert is None:
                raise NotFound("The alert is gone: nobody has to be told of it.")
        match alert.state:
            case AlertState.FIRING:
                await pager.trigger(_page(alert), trace_id=job.trace_id)
            case AlertState.ACKNOWLEDGED:
                await pager.acknowledge(alert.dedup_key, trace_id=job.trace_id)
            case AlertState.RESOLVED:
                await pager.resolve(alert.dedup_key, trace_id=job.trace_id)
        await outbox.record(services.database, job, _nothing)

    async def look_up(self, services: Services, job: outbox.Job) -> None:
        """A second time does no harm."""
        await self.run(services, job)

    async def gave_up(
        self, transaction: Transaction, job: outbox.Job, error: LakefrontError, *, uncertain: bool
    ) -> None:
        """The dead letter says so; the alert stands as it did."""


class Teller:
    """The tenant's own server (its integration ``webhook``) is told of each change, in their order.

    It knows a change by its id, so that to tell it again is safe.
    """

    kind = TELL

    async def run(self, services: Services, job: outbox.Job) -> None:
        """See ``outbox.Handler``."""
        with outbox.nothing_sent():
            webhook = await integrations.adapter(services, Webhook, job.tenant)
            async with services.database.transaction(job.tenant) as transaction:
                which = (job.payload["alertId"], job.payload["version"])
                rows = await transaction.fetch(_CHANGE, job.tenant, *which)
            if not rows:
                raise NotFound("The alert is gone: nobody has to be told of it.")
        await webhook.deliver(_notification(rows[0]), trace_id=job.trace_id)
        await outbox.record(services.database, job, _nothing)

    async def look_up(self, services: Services, job: outbox.Job) -> None:
        """A second time does no harm."""
        await self.run(services, job)

    async def gave_up(
        self, transaction: Transaction, job: outbox.Job, error: LakefrontError, *, uncertain: bool
    ) -> None:
        """The dead letter says so; the alert stands as it did."""


HANDLERS: Final[tuple[outbox.Handler, ...]] = (Pager(), Teller())
"""Of all kinds of jobs that alerts have."""


def _page(alert: Alert) -> Page:
    where = {"city": alert.city} if alert.city else {}
    return Page(
        key=alert.dedup_key,
        summary=alert.summary,
        severity=SEVERITIES[alert.level],
        origin=f"lakefront/{alert.provider}",
        at=alert.fired_at,
        details={"rule": alert.rule_id, "metric": alert.metric.value, "threshold": f"{alert.threshold:g}", **where},
    )


def _notification(row: Any) -> Notification:
    return Notification(
        id=f"{row['alert_id']}-{row['version']}",
        type=EVENT_TYPES[AlertState(row["state"])],
        at=row["changed_at"],
        data=told(row),
    )
