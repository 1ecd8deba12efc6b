"""How much of its plan a tenant has used of the UTC day (T5), and taking one of the day's pipelines."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from lakefront.actor import TENANT_READ, Actor
from lakefront.db.database import Transaction
from lakefront.domain.services import Services
from lakefront.domain.tenants.allowances import resets_at
from lakefront.domain.tenants.profiles import read_profile, require_manager
from lakefront.domain.tenants.reading import make_day
from lakefront.errors import Forbidden

_TAKE_PIPELINE: Final = """
UPDATE tenants.tenant_usage_quotas d SET pipelines_started = d.pipelines_started + 1
FROM tenants.tenant_subscriptions s
WHERE d.tenant_id = $1 AND d.usage_date = $2 AND s.tenant_id = $1 AND (d.pipelines_started < s.daily_pipelines OR $3)
RETURNING d.pipelines_started
"""
"""Whoever comes second waits for the row, and looks at it again when the first has committed or given up."""

_DAY: Final = """
SELECT s.daily_pipelines, d.usage_date FROM tenants.tenant_subscriptions s
LEFT JOIN tenants.tenant_usage_quotas d ON d.tenant_id = $1 AND d.usage_date = $2 WHERE s.tenant_id = $1
"""


@dataclass(frozen=True, slots=True)
class Use:
    """``limit`` None: not bound. ``used`` None: not counted, as nothing bounds it."""

    used: int | None
    limit: int | None

    @property
    def remaining(self) -> int | None:
        """What is left, never below 0; None where nothing bounds it."""
        return None if self.limit is None else max(0, self.limit - (self.used or 0))


@dataclass(frozen=True, slots=True)
class TenantUsage:
    """What a tenant has used of the UTC day ``date``, which ends at ``resets_at``, and what it stores (bytes)."""

    tenant_id: str
    plan: str
    date: date
    resets_at: datetime
    pipelines: Use
    events: Use
    requests: Use
    storage_bytes: Use


async def usage(services: Services, actor: Actor, tenant_id: str | None = None) -> TenantUsage:
    """What ``tenant_id``, the actor's own tenant unless given, has used by now.

    Events, pipelines and bytes are those of one snapshot of PostgreSQL, requests those of Redis. Raises ``Forbidden``
    (one's own needs the scope tenant:read, another's tenants:manage), ``NotFound``, ``Unavailable``.
    """
    tenant = actor.tenant if tenant_id is None else tenant_id
    if tenant == actor.tenant:
        actor.require(TENANT_READ)
    else:
        require_manager(actor)
        async with services.provisioner.transaction(actor.tenant) as transaction:
            await read_profile(transaction, tenant)  # so that an unknown one is not found
    allowances = services.allowances
    reading = await allowances.reading(services.database, tenant, exact=True)
    bounds = reading.bounds
    requests = None if bounds.requests is None else await allowances.requests(tenant, reading.day)
    return TenantUsage(
        tenant,
        reading.plan,
        reading.day,
        resets_at(reading.day),
        Use(reading.pipelines, bounds.pipelines),
        Use(reading.events, bounds.events),
        Use(requests, bounds.requests),
        Use(reading.storage_bytes, bounds.storage_bytes),
    )


async def start_pipeline(services: Services, transaction: Transaction, actor: Actor) -> int:
    """Take one of the day's pipelines of the actor's tenant, which ``transaction`` is of; returns how many were taken.

    It is taken if and when the transaction commits; until then others of the tenant wait, so commit soon. However many
    ask at once, by however many servers, no more pass than the plan has. Raises ``RateLimited`` until midnight in UTC,
    ``Forbidden`` for a tenant without a plan.
    """
    day = services.allowances.today
    wanted = (actor.tenant, day, not services.settings.limits_on)
    taken = await transaction.fetch(_TAKE_PIPELINE, *wanted)
    if not taken:
        found = await transaction.fetch(_DAY, actor.tenant, day)
        if not found:
            raise Forbidden("This tenant has no plan. Ask whoever runs this server to give it one.")
        if found[0]["usage_date"] is None:
            await make_day(transaction, actor.tenant, day)
            taken = await transaction.fetch(_TAKE_PIPELINE, *wanted)
        if not taken:
            raise services.allowances.used_up(
                "pipelines",
                f"The day's {found[0]['daily_pipelines']:,} pipelines are used up. Wait for midnight (UTC) as "
                "Retry-After says, or ask for a larger plan.",
                limit=found[0]["daily_pipelines"],
            )
    return int(taken[0]["pipelines_started"])
