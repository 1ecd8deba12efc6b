"""Tenants: onboarding, suspending, and what is known of them."""

from typing import Annotated

import strawberry
from strawberry import UNSET
from strawberry.tools import merge_types

from lakefront.actor import TENANT_READ, TENANTS_MANAGE
from lakefront.domain.tenants import profiles
from lakefront.errors import NotFound
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Info
from lakefront.graphql.declare.limits import FIRST, MOST
from lakefront.graphql.fields import field, given
from lakefront.graphql.tenants.bi import BiLogins
from lakefront.graphql.tenants.lifecycle import Lifecycle
from lakefront.graphql.tenants.onboarding import Onboarding
from lakefront.graphql.tenants.pages import connect, page_of
from lakefront.graphql.tenants.types import Tenant, TenantStatus

__all__ = ["Mutation", "Query", "Tenant"]

Mutation = merge_types("Mutation", (Onboarding, Lifecycle, BiLogins))


@strawberry.type
class Query:
    """What can be asked about tenants."""

    @field(
        "Your tenant; with the scope tenants:manage, any. Null when there is none with that id.", requires=TENANT_READ
    )
    async def tenant(
        self, info: Info, tenant_id: Annotated[strawberry.ID, strawberry.argument(description="The tenant's id.")]
    ) -> Tenant | None:
        """Whoever may see their own alone is refused any other, whether there is one or not."""
        try:
            return Tenant.of(await profiles.profile(info.context.services, info.context.actor, tenant_id))
        except NotFound:
            return None

    @field("All tenants, by id.", requires=TENANTS_MANAGE)
    async def tenants(
        self,
        info: Info,
        status: Annotated[TenantStatus | None, strawberry.argument(description="Only those with this status.")] = UNSET,
        first: Annotated[
            int | None,
            strawberry.argument(description=f"Rows from the start: {FIRST} unless given, at most {MOST}."),
        ] = UNSET,
        after: Annotated[str | None, strawberry.argument(description="Only rows after this cursor.")] = UNSET,
        last: Annotated[
            int | None, strawberry.argument(description="Rows from the end of the range, instead of first.")
        ] = UNSET,
        before: Annotated[str | None, strawberry.argument(description="Only rows before this cursor.")] = UNSET,
    ) -> Connection[Tenant]:
        """Read through the provisioner, as no tenant's row security shows them."""
        profiles.require_manager(info.context.actor)
        wanted = given(status)
        page = page_of(
            first=given(first),
            after=given(after),
            last=given(last),
            before=given(before),
            status=wanted.value if wanted is not None else None,
        )
        return connect(info.context, page)
