"""How much of its plan a tenant has used, and changing the plan (T5)."""

from datetime import date as calendar_date
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import TENANT_READ, TENANTS_MANAGE
from lakefront.domain.tenants import subscriptions
from lakefront.domain.tenants import usage as domain
from lakefront.graphql.context import Info
from lakefront.graphql.fields import field, given, mutation
from lakefront.graphql.scalars import BigInt
from lakefront.graphql.tenants.lifecycle import TenantId, TenantPayload
from lakefront.graphql.tenants.onboarding import DryRun, IdempotencyKey, report
from lakefront.graphql.tenants.types import SubscriptionPlan, Tenant


@strawberry.type(description="What was used of one quota.")
class QuotaUse:
    """One quota."""

    used: BigInt | None = strawberry.field(
        description="What was used; null for requests that nothing binds, as they are not counted."
    )
    limit: BigInt | None = strawberry.field(description="How much may be used; null where nothing binds it.")
    remaining: BigInt | None = strawberry.field(description="What is left; null where nothing binds it.")


@strawberry.type(description="What a tenant has used of a UTC day, and what it stores (T5).")
class TenantUsage:
    """The quotas of one tenant."""

    tenant_id: strawberry.ID = strawberry.field(description="The tenant.")
    plan: SubscriptionPlan = strawberry.field(description="Its plan.")
    date: calendar_date = strawberry.field(description="The day, in UTC.")
    resets_at: datetime = strawberry.field(description="The midnight at which a new day begins.")
    pipelines: QuotaUse = strawberry.field(description="Pipelines started that day.")
    events: QuotaUse = strawberry.field(description="Events taken into the log that day; duplicates do not count.")
    requests: QuotaUse = strawberry.field(
        description="REST requests and GraphQL operations that were let through that day, this one included."
    )
    storage_bytes: QuotaUse = strawberry.field(
        description="Bytes of all its objects in the lake, as they are stored. Events are there once they are sealed."
    )


@strawberry.type
class Query:
    """What can be asked about usage."""

    @field(
        "What a tenant has used of its plan by now; another tenant's needs the scope tenants:manage.",
        requires=TENANT_READ,
    )
    async def tenant_usage(
        self,
        info: Info,
        tenant_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="The tenant; your own when left out.")
        ] = UNSET,
    ) -> TenantUsage:
        """The one use-case, as REST calls it."""
        found = await domain.usage(info.context.services, info.context.actor, given(tenant_id))
        return TenantUsage(
            tenant_id=strawberry.ID(found.tenant_id),
            plan=SubscriptionPlan(found.plan),
            date=found.date,
            resets_at=found.resets_at,
            pipelines=_use(found.pipelines),
            events=_use(found.events),
            requests=_use(found.requests),
            storage_bytes=_use(found.storage_bytes),
        )


@strawberry.type
class Mutation:
    """What can be done about plans."""

    @mutation(
        "Give a tenant another plan with its quotas, on every server within a second. What it used of the day stays "
        "used.",
        requires=TENANTS_MANAGE,
    )
    async def change_tenant_plan(
        self,
        info: Info,
        tenant_id: TenantId,
        plan: Annotated[SubscriptionPlan, strawberry.argument(description="The plan that it gets.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> TenantPayload:
        """The one use-case."""
        found = await subscriptions.change_plan(
            info.context.services,
            info.context.actor,
            tenant_id,
            plan.value,
            idempotency_key=given(idempotency_key),
            dry_run=bool(dry_run),
        )
        return TenantPayload(tenant=Tenant.of(found), report=report(changes=1) if dry_run else None)


def _use(found: domain.Use) -> QuotaUse:
    return QuotaUse(used=_big(found.used), limit=_big(found.limit), remaining=_big(found.remaining))


def _big(number: int | None) -> BigInt | None:
    return None if number is None else BigInt(number)
