"""Tenants with a plan, as tests of quotas need them: rows, and nothing else of onboarding."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from lakefront.actor import Actor, system_actor
from lakefront.db.database import Database
from lakefront.domain.services import Services
from lakefront.domain.tenants.allowances import Allowances
from lakefront.settings import Settings
from tests.domain.permits.events import text


class Clock:
    """The time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


async def subscribe(
    provisioner: Database,
    tenant: str = "acme",
    *,
    plan: str = "FREE",
    pipelines: int = 3,
    events: int | None = None,
    requests: int | None = None,
    storage: int | None = None,
) -> Actor:
    """Make the tenant, with these quotas; returns one who may do everything in it."""
    async with provisioner.transaction("-") as transaction:
        await transaction.execute(
            "INSERT INTO tenants.tenant_profiles (tenant_id, company_name, admin_email, status) "
            "VALUES ($1, 'Acme', 'a@acme.example', 'active')",
            tenant,
        )
        await transaction.execute(
            "INSERT INTO tenants.tenant_subscriptions "
            "(tenant_id, plan, daily_pipelines, daily_events, daily_requests, storage_bytes) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            *(tenant, plan, pipelines, events, requests, storage),
        )
    return system_actor(tenant)


def bound(services: Services, *, redis: "Redis | None" = None, clock: Clock | None = None) -> Services:
    """The services as a process of its own has them, where quotas hold."""
    return replace(services, settings=Settings(), allowances=Allowances(redis, now=clock or Clock()))


def batch(first: int, count: int) -> list[bytes]:
    """Events of many permits, so that they spread over the shards."""
    return [text(eventId=f"e{number}", permitId=f"P{number}") for number in range(first, first + count)]
