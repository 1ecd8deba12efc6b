"""The mutations that suspend and resume a tenant."""

from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import TENANTS_MANAGE
from lakefront.domain.tenants import lifecycle as domain
from lakefront.graphql.context import Info
from lakefront.graphql.fields import given, mutation
from lakefront.graphql.reports import DryRunReport
from lakefront.graphql.tenants.onboarding import DryRun, IdempotencyKey, report
from lakefront.graphql.tenants.types import Tenant

TenantId = Annotated[strawberry.ID, strawberry.argument(description="The tenant's id.")]


@strawberry.type(description="A tenant that was suspended or resumed.")
class TenantPayload:
    """The tenant."""

    tenant: Tenant = strawberry.field(description="The tenant as it is now; on a dry run as it would be.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")


@strawberry.type
class Lifecycle:
    """How tenants are kept out, and let in again."""

    @mutation(
        "Let nobody of a tenant in, on every server and open socket, within a second. Its data stays.",
        requires=TENANTS_MANAGE,
    )
    async def suspend_tenant(
        self,
        info: Info,
        tenant_id: TenantId,
        reason: Annotated[str, strawberry.argument(description=f"Why: 1 to {domain.MAX_REASON} characters.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> TenantPayload:
        """The one use-case, as REST calls it."""
        found = await domain.suspend(
            info.context.services,
            info.context.actor,
            tenant_id,
            reason,
            idempotency_key=given(idempotency_key),
            dry_run=bool(dry_run),
        )
        return TenantPayload(tenant=Tenant.of(found), report=report(changes=1) if dry_run else None)

    @mutation("Let a suspended tenant in again.", requires=TENANTS_MANAGE)
    async def resume_tenant(
        self, info: Info, tenant_id: TenantId, idempotency_key: IdempotencyKey = UNSET, dry_run: DryRun = False
    ) -> TenantPayload:
        """The one use-case, as REST calls it."""
        found = await domain.resume(
            info.context.services,
            info.context.actor,
            tenant_id,
            idempotency_key=given(idempotency_key),
            dry_run=bool(dry_run),
        )
        return TenantPayload(tenant=Tenant.of(found), report=report(changes=1) if dry_run else None)
