"""Somebody says that they look after an alert."""

from contextlib import suppress

import msgspec

from lakefront.actor import ALERTS_MANAGE, Actor
from lakefront.domain import idempotency
from lakefront.domain.alerts import alert as alerts
from lakefront.domain.alerts.alert import AlertState
from lakefront.domain.alerts.evaluate import carriers_of
from lakefront.domain.alerts.publish import publish
from lakefront.domain.services import Services
from lakefront.errors import Conflict, NotFound, Unavailable


class Acknowledged(msgspec.Struct, frozen=True):
    """Which alert; ``changed``: whether nobody had said so before."""

    alert_id: str
    changed: bool


async def acknowledge(
    services: Services,
    actor: Actor,
    alert_id: str,
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
    trace_id: str = "",
) -> Acknowledged:
    """Say that the actor looks after the alert: here, at the pager and to the tenant's server (C13).

    Who acknowledged it first stays. On a dry run nothing changes. Needs the scope alerts:manage. Raises ``NotFound``,
    ``Conflict`` where the alert is over, ``Forbidden``, ``IdempotencyConflict``, ``Unavailable``.
    """
    actor.require(ALERTS_MANAGE)
    carriers = await carriers_of(services, actor.tenant)

    async def run() -> Acknowledged:
        found = await alerts.find(transaction, actor.tenant, alert_id)
        if found is None:
            raise NotFound("There is no such alert. alerts lists those that there are.")
        if found.state is AlertState.RESOLVED:
            raise Conflict("This alert is over: nobody has to look after it any more.")
        changed = found.state is AlertState.FIRING
        if changed and not dry_run:
            await alerts.acknowledge(transaction, actor.tenant, alert_id, actor.subject, carriers, trace_id)
        return Acknowledged(alert_id, changed)

    async with services.database.transaction(actor.tenant) as transaction:
        if dry_run:
            return await run()
        body = alert_id.encode("utf-8", "surrogatepass")
        stored = await idempotency.once_within(transaction, actor, "acknowledgeAlert", idempotency_key, body, run)
    done = msgspec.convert(stored, Acknowledged)
    if done.changed:
        with suppress(Unavailable):  # it is written: the evaluator publishes what is left
            await publish(services, actor.tenant)
    return done
