"""What is known of tenants: their profile and plan, for themselves and for whoever manages all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from lakefront.actor import CITY, TENANT_READ, TENANTS_MANAGE, Actor
from lakefront.db.database import Transaction
from lakefront.domain.tenants.parts import Parts
from lakefront.errors import Forbidden, NotFound


class Profile(msgspec.Struct, frozen=True):
    """One tenant; a quota that is None does not bind. ``admin_email`` is personal data."""

    tenant_id: str
    company_name: str
    admin_email: str
    status: str
    created_at: datetime
    suspended_at: datetime | None
    suspension_reason: str | None
    subscription_plan: str
    daily_pipelines: int
    daily_events: int | None
    daily_requests: int | None
    storage_bytes: int | None

    def __repr__(self) -> str:
        """The tenant alone, so that no traceback tells the address."""
        return f"Profile({self.tenant_id!r})"


@dataclass(frozen=True, slots=True)
class ProfilePage:
    """At most ``limit`` tenants in the order of their ids, between ``after`` and ``before``, exclusive.

    ``backward`` takes the last ones instead of the first.
    """

    limit: int
    after: str | None = None
    before: str | None = None
    status: str | None = None
    backward: bool = False


_PROFILES: Final = """
SELECT p.tenant_id, p.company_name, p.admin_email, p.status, p.created_at, p.suspended_at, p.suspension_reason,
  s.plan, s.daily_pipelines, s.daily_events, s.daily_requests, s.storage_bytes
FROM tenants.tenant_profiles p JOIN tenants.tenant_subscriptions s USING (tenant_id)
"""


def require_manager(actor: Actor) -> None:
    """Pass if ``actor`` may manage all tenants: with that scope, and in the installation's own tenant.

    Raises ``Forbidden`` otherwise; a tenant's administrator manages nobody, whatever a policy says.
    """
    actor.require(TENANTS_MANAGE)
    if actor.tenant != CITY or TENANTS_MANAGE not in actor.scopes:
        raise Forbidden("Tenants are managed by administrators of the installation's own tenant. Ask one of them.")


async def profile(parts: Parts, actor: Actor, tenant_id: str) -> Profile:
    """The tenant: one's own with the scope tenant:read, any with tenants:manage.

    Raises ``Forbidden``, ``NotFound`` (to whoever may see any), ``Unavailable``.
    """
    own = tenant_id == actor.tenant
    if own:
        actor.require(TENANT_READ)
    else:
        require_manager(actor)
    database = parts.database if own else parts.provisioner
    async with database.transaction(actor.tenant) as transaction:
        return await read_profile(transaction, tenant_id)


async def read_profile(transaction: Transaction, tenant_id: str) -> Profile:
    """The tenant as ``transaction`` sees it; raises ``NotFound`` if it sees none."""
    # PostgreSQL takes no NUL and no lone surrogate; an id has neither.
    known = tenant_id.isascii() and tenant_id.isprintable()
    rows = await transaction.fetch(f"{_PROFILES} WHERE p.tenant_id = $1", tenant_id) if known else ()
    if not rows:
        raise NotFound("There is no such tenant. Check its id.")
    return _profile(rows[0])


async def profiles(parts: Parts, actor: Actor, page: ProfilePage) -> tuple[list[Profile], bool]:
    """A page of all tenants in the order of their ids, and whether there are more in its direction.

    Needs the scope tenants:manage. Raises ``Forbidden``, ``Unavailable``.
    """
    require_manager(actor)
    direction = "DESC" if page.backward else "ASC"
    async with parts.provisioner.transaction(actor.tenant) as transaction:
        rows = await transaction.fetch(
            f"{_PROFILES} WHERE ($1::text IS NULL OR p.tenant_id > $1) AND ($2::text IS NULL OR p.tenant_id < $2) "
            f"AND ($3::text IS NULL OR p.status = $3) ORDER BY p.tenant_id {direction} LIMIT $4",
            *(page.after, page.before, page.status, page.limit + 1),
        )
    found = [_profile(row) for row in rows[: page.limit]]
    return found[::-1] if page.backward else found, len(rows) > page.limit


async def count(parts: Parts, actor: Actor, status: str | None = None) -> int:
    """How many tenants there are with that ``status``, or in all. Needs the scope tenants:manage."""
    require_manager(actor)
    async with parts.provisioner.transaction(actor.tenant) as transaction:
        [(number,)] = await transaction.fetch(
            "SELECT count(*) FROM tenants.tenant_profiles WHERE $1::text IS NULL OR status = $1", status
        )
    return int(number)


def _profile(row: Sequence[Any]) -> Profile:
    return Profile(*row)
