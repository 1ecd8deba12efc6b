"""The mutations of a tenant's login for BI tools."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Self

import strawberry
from strawberry import UNSET

from lakefront.actor import KEYS_MANAGE
from lakefront.domain.tenants import bi as domain
from lakefront.graphql.context import Info
from lakefront.graphql.fields import given, mutation
from lakefront.graphql.reports import DryRunReport
from lakefront.graphql.tenants.onboarding import DryRun, IdempotencyKey, report

TenantId = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="The tenant's id; yours unless given. Another's needs the scope tenants:manage."),
]


@strawberry.type(description="A PostgreSQL login that reads the views of its tenant, and nothing else.")
class BiLoginPayload:
    """The login."""

    login: str = strawberry.field(description="The name to sign in with.")
    password: str | None = strawberry.field(
        description="Its password, shown this once, so save it now. Null on a dry run, and where an idempotency key "
        "was answered before: rotate the login if it is lost."
    )
    server: str = strawberry.field(
        description="Where to connect, host:port. Where `lakefront` runs PostgreSQL itself, the host is the folder of "
        "its socket, which the server's own user reaches, on that machine."
    )
    asks_for_password: bool = strawberry.field(
        description="False where `lakefront` runs PostgreSQL itself: whoever reaches its socket signs in under any "
        "name, and the password protects nothing."
    )
    database: str = strawberry.field(description="The database to connect to.")
    schema: str = strawberry.field(description="The schema of the views that it reads.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")

    @classmethod
    def of(cls, login: domain.BiLogin, *, dry_run: bool) -> Self:
        """What the domain made, or would have made."""
        told = report(changes=1) if dry_run else None
        return cls(
            login=login.login,
            password=login.password,
            server=login.server,
            asks_for_password=login.asks_for_password,
            database=login.database,
            schema=login.schema,
            report=told,
        )


@strawberry.type
class BiLogins:
    """What can be done to logins for BI tools."""

    @mutation(
        "Make the tenant's login for BI tools: it reads the views of the tenant's schema, so yours needs the scopes "
        "permits:read and permits:inspector for all rows, too. Its password is in the answer alone. Where `lakefront` "
        "runs PostgreSQL itself, nobody is asked for one.",
        requires=KEYS_MANAGE,
    )
    async def create_bi_login(
        self,
        info: Info,
        tenant_id: TenantId = UNSET,
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> BiLoginPayload:
        """The one use-case."""
        return await _done(info, domain.create_login, tenant_id, idempotency_key, dry_run=bool(dry_run))

    @mutation(
        "Give the tenant's login for BI tools a new password, and end its sessions. The old password ends at once. "
        "Needs the same scopes as createBiLogin.",
        requires=KEYS_MANAGE,
    )
    async def rotate_bi_login(
        self,
        info: Info,
        tenant_id: TenantId = UNSET,
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> BiLoginPayload:
        """The one use-case."""
        return await _done(info, domain.rotate_login, tenant_id, idempotency_key, dry_run=bool(dry_run))

    @mutation("Remove the tenant's login for BI tools, and end its sessions.", requires=KEYS_MANAGE)
    async def drop_bi_login(
        self,
        info: Info,
        tenant_id: TenantId = UNSET,
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> BiLoginPayload:
        """The one use-case."""
        return await _done(info, domain.drop_login, tenant_id, idempotency_key, dry_run=bool(dry_run))


async def _done(
    info: Info,
    use_case: Callable[..., Awaitable[domain.BiLogin]],
    tenant_id: str | None,
    idempotency_key: str | None,
    *,
    dry_run: bool,
) -> BiLoginPayload:
    """What ``use_case`` does for the tenant, the actor's own unless another is given."""
    services, actor = info.context.services, info.context.actor
    tenant = given(tenant_id) or actor.tenant
    login = await use_case(services, actor, tenant, idempotency_key=given(idempotency_key), dry_run=dry_run)
    return BiLoginPayload.of(login, dry_run=dry_run)
