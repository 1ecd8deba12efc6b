"""Changing a tenant's plan (T5)."""

from contextlib import suppress
from typing import Final

import msgspec

from lakefront.actor import CITY, Actor
from lakefront.domain import idempotency
from lakefront.domain.services import Services
from lakefront.domain.tenants.plans import PLANS
from lakefront.domain.tenants.profiles import Profile, read_profile, require_manager
from lakefront.errors import ValidationError

_CHANGE: Final = """
UPDATE tenants.tenant_subscriptions SET plan = $2, daily_pipelines = $3, daily_events = $4, daily_requests = $5,
  storage_bytes = $6, started_at = now()
WHERE tenant_id = $1
"""


class _DryRun(Exception):
    """Everything was done, nothing is to stay."""


async def change_plan(
    services: Services,
    actor: Actor,
    tenant_id: str,
    plan: str,
    *,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> Profile:
    """Give the tenant ``plan`` with its quotas; what it used of the day stays used. Every server knows in a second.

    Needs the scope tenants:manage. Returns the tenant as it is then, on a dry run as it would be. Raises
    ``ValidationError`` for a plan that there is not and for the installation's own tenant, ``NotFound``, ``Forbidden``,
    ``IdempotencyConflict``, ``Unavailable``.
    """
    require_manager(actor)
    quotas = PLANS.get(plan)
    if quotas is None:
        raise _refused("plan", f"There is no such plan. Give one of {', '.join(PLANS)}.")
    if tenant_id == CITY:
        raise _refused("tenantId", "The installation's own tenant is bound by its streams alone. Name another.")

    async def run() -> None:
        await read_profile(transaction, tenant_id)  # before anything is written: there is such a tenant
        await transaction.execute(_CHANGE, tenant_id, plan, *quotas)

    request = msgspec.json.encode((tenant_id, plan))
    with suppress(_DryRun):
        async with services.provisioner.transaction(actor.tenant) as transaction:
            key = None if dry_run else idempotency_key
            await idempotency.once_within(transaction, actor, "changeTenantPlan", key, request, run)
            found = await read_profile(transaction, tenant_id)
            if dry_run:
                raise _DryRun
    services.allowances.forget(tenant_id)
    return found


def _refused(field: str, message: str) -> ValidationError:
    return ValidationError(message, details=[{"field": field, "message": message}])
