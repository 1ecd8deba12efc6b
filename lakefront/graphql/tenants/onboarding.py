"""The mutations by which tenants come (T1, T2). They need a token: where onboarding is open, REST is the open door."""

from typing import Annotated, Final

import strawberry
from strawberry import UNSET

from lakefront.actor import TENANTS_MANAGE
from lakefront.domain.tenants import onboarding as domain
from lakefront.domain.tenants.configuration import Configuration
from lakefront.graphql.context import Info
from lakefront.graphql.fields import given, mutation
from lakefront.graphql.reports import DryRunReport
from lakefront.graphql.tenants.types import SubscriptionPlan

DRY_RUN_RATE: Final = "10/minute"
"""How often one may check a configuration, by REST and GraphQL together; without a token, one address."""

ONBOARD_RATE: Final = "5/minute"
"""How often one may onboard, in the same way."""

IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(description="The same key with the same arguments changes nothing more."),
]
DryRun = Annotated[bool | None, strawberry.argument(description="Check and report, but change nothing.")]


@strawberry.input(description="What a tenant is to be; a dry run holds for exactly these values.")
class TenantInput:
    """The document's four members."""

    tenant_id: strawberry.ID = strawberry.field(
        description="3 to 40 lower-case letters, digits and underscores, a letter first."
    )
    company_name: str = strawberry.field(description="The company.")
    admin_email: str = strawberry.field(description="Where its administrator reads mail.")
    subscription_plan: SubscriptionPlan = strawberry.field(description="Its plan.")

    def configuration(self) -> Configuration:
        """The domain's configuration."""
        return Configuration(self.tenant_id, self.company_name, self.admin_email, self.subscription_plan.value)


@strawberry.type(description="What one check of onboarding found.")
class OnboardingCheck:
    """One check."""

    check: str = strawberry.field(
        description="Which: tenant_id, reserved_words, company_name, admin_email, subscription_plan, quotas, "
        "availability, database or object_store."
    )
    ok: bool | None = strawberry.field(
        description="Whether it passed; null where it was not checked, as one that it depends on failed."
    )
    message: str = strawberry.field(description="What it found; where it did not pass, what to do.")


@strawberry.type(description="What a dry run of onboarding found (T1).")
class DryRunTenantPayload:
    """The report is the answer itself."""

    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id, as it was given.")
    subscription_plan: SubscriptionPlan = strawberry.field(description="The plan.")
    ok: bool = strawberry.field(description="Whether every check passed: then onboard it within an hour.")
    checks: list[OnboardingCheck] = strawberry.field(description="All checks; none is left out where another failed.")
    message: str = strawberry.field(description="What to do next.")
    report: DryRunReport | None = strawberry.field(description="With dryRun: what would have been done.")


@strawberry.type(description="A tenant that was onboarded (T2).")
class OnboardTenantPayload:
    """The document's members."""

    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    api_key: str | None = strawberry.field(
        description="Its first API key, with the role admin, for the header X-API-Key: shown this once; save it now. "
        "Null on a dry run, and where an idempotency key is answered again: the text is not kept."
    )
    subscription_plan: SubscriptionPlan = strawberry.field(description="The plan.")
    dataset_created: bool = strawberry.field(description="Whether its schema and views are there.")
    message: str = strawberry.field(description="What was done.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")


@strawberry.type
class Onboarding:
    """How tenants come."""

    @mutation(
        "Run every check of onboarding and create nothing (T1). That the configuration passed is remembered for an "
        "hour, in which onboardTenant takes it. Without a token, where that is open: POST /api/v1/tenants/dryrun.",
        requires=TENANTS_MANAGE,
        limit=DRY_RUN_RATE,
    )
    async def dry_run_tenant(
        self,
        info: Info,
        input_: Annotated[TenantInput, strawberry.argument(name="input", description="What it is to be.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: Annotated[
            bool | None, strawberry.argument(description="Check, but do not remember that it passed.")
        ] = False,
    ) -> DryRunTenantPayload:
        """The one use-case, as REST calls it."""
        found = await domain.dry_run(
            info.context.services,
            info.context.actor,
            input_.configuration(),
            remember=not dry_run,
            idempotency_key=given(idempotency_key),
        )
        return DryRunTenantPayload(
            tenant_id=input_.tenant_id,
            subscription_plan=input_.subscription_plan,
            ok=found.ok,
            checks=[OnboardingCheck(check=one.check, ok=one.ok, message=one.message) for one in found.checks],
            message=found.message,
            report=report(changes=0) if dry_run else None,
        )

    @mutation(
        "Make a tenant, whose dry run passed within the hour (T2): its profile, plan, schema with views, and first API "
        "key; all of it or nothing. Without a token, where that is open: POST /api/v1/tenants/onboard.",
        requires=TENANTS_MANAGE,
        limit=ONBOARD_RATE,
    )
    async def onboard_tenant(
        self,
        info: Info,
        input_: Annotated[TenantInput, strawberry.argument(name="input", description="As it was in the dry run.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> OnboardTenantPayload:
        """The one use-case, as REST calls it."""
        made = await domain.onboard(
            info.context.services,
            info.context.actor,
            input_.configuration(),
            idempotency_key=given(idempotency_key),
            dry_run=bool(dry_run),
        )
        return OnboardTenantPayload(
            tenant_id=strawberry.ID(made.tenant_id),
            api_key=made.api_key,
            subscription_plan=input_.subscription_plan,
            dataset_created=made.dataset_created,
            message=made.message,
            report=report(changes=1) if dry_run else None,
        )


def report(*, changes: int) -> DryRunReport:
    """A dry run's report of so many changes."""
    return DryRunReport(changes=changes, quota=0, outside_calls=0)
