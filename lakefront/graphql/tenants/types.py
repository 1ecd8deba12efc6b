"""A tenant as GraphQL tells it."""

from datetime import datetime
from enum import StrEnum
from typing import Self

import strawberry

from lakefront.domain.tenants.profiles import Profile
from lakefront.graphql.declare import described
from lakefront.graphql.scalars import BigInt


class SubscriptionPlan(StrEnum):
    """The plans of ``lakefront.domain.tenants.plans``."""

    FREE = "FREE"
    BASIC = "BASIC"
    PROFESSIONAL = "PROFESSIONAL"
    ENTERPRISE = "ENTERPRISE"


class TenantStatus(StrEnum):
    """Whether a tenant is let in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


described(
    SubscriptionPlan,
    "What a tenant may use of a day (T5).",
    {
        SubscriptionPlan.FREE: "For trying: 3 pipelines a day.",
        SubscriptionPlan.BASIC: "For small teams: 10 pipelines a day.",
        SubscriptionPlan.PROFESSIONAL: "For medium teams: 25 pipelines a day.",
        SubscriptionPlan.ENTERPRISE: "For extensive use: 100 pipelines a day.",
    },
)

described(
    TenantStatus,
    "Whether a tenant is let in.",
    {TenantStatus.ACTIVE: "It is.", TenantStatus.SUSPENDED: "Every door refuses it, until it is resumed."},
)


@strawberry.type(description="What a tenant may use of a UTC day, and store; null where nothing binds it.")
class TenantQuotas:
    """The quotas of one tenant."""

    daily_pipelines: int = strawberry.field(description="Pipelines started a day.")
    daily_events: BigInt | None = strawberry.field(description="Events taken in a day.")
    daily_requests: BigInt | None = strawberry.field(description="Requests a day.")
    storage_bytes: BigInt | None = strawberry.field(description="Bytes in the lake, as they are stored.")


@strawberry.type(description="Who has data of its own here: its events, its lake, its keys (T3).")
class Tenant:
    """One tenant."""

    tenant_id: strawberry.ID = strawberry.field(description="Its id: its schema in PostgreSQL, its folder of the lake.")
    company_name: str = strawberry.field(description="The company.")
    admin_email: str = strawberry.field(description="Where its administrator reads mail; empty for the city.")
    status: TenantStatus = strawberry.field(description="Whether it is let in.")
    subscription_plan: SubscriptionPlan = strawberry.field(description="Its plan.")
    quotas: TenantQuotas = strawberry.field(description="What it may use: its plan's quotas, or others agreed on.")
    created_at: datetime = strawberry.field(description="When it was onboarded.")
    suspended_at: datetime | None = strawberry.field(description="Since when it is suspended; null while it is active.")
    suspension_reason: str | None = strawberry.field(description="Why it is suspended; null while it is active.")

    @classmethod
    def of(cls, found: Profile) -> Self:
        """The domain's tenant."""
        return cls(
            tenant_id=strawberry.ID(found.tenant_id),
            company_name=found.company_name,
            admin_email=found.admin_email,
            status=TenantStatus(found.status),
            subscription_plan=SubscriptionPlan(found.subscription_plan),
            quotas=TenantQuotas(
                daily_pipelines=found.daily_pipelines,
                daily_events=_big(found.daily_events),
                daily_requests=_big(found.daily_requests),
                storage_bytes=_big(found.storage_bytes),
            ),
            created_at=found.created_at,
            suspended_at=found.suspended_at,
            suspension_reason=found.suspension_reason,
        )


def _big(number: int | None) -> BigInt | None:
    return None if number is None else BigInt(number)
