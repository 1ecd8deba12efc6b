"""A key as GraphQL tells it."""

from datetime import UTC, datetime
from typing import Self

import strawberry

from lakefront.domain import api_keys
from lakefront.domain.api_keys import ApiKeyState
from lakefront.graphql.declare import described

described(
    ApiKeyState,
    "Whether an API key holds, and if not, why.",
    {
        ApiKeyState.ACTIVE: "It holds.",
        ApiKeyState.ROTATED: "There is a newer one; this one holds until it expires.",
        ApiKeyState.EXPIRED: "Its time is up.",
        ApiKeyState.REVOKED: "It was revoked.",
    },
)


@strawberry.type(description="What is kept of an API key (T4); the key itself is not.")
class ApiKey:
    """One key."""

    key_id: strawberry.ID = strawberry.field(description="Names the key here: for rotateApiKey and revokeApiKey.")
    name: str = strawberry.field(description="What its maker called it.")
    prefix: str = strawberry.field(description="The first 8 characters after its mark, to tell keys apart.")
    roles: list[str] = strawberry.field(description="What it may do.")
    state: ApiKeyState = strawberry.field(description="Whether it holds.")
    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: str = strawberry.field(description="Who made it.")
    expires_at: datetime = strawberry.field(description="When it ends, or ended.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null if it was not.")
    last_used_at: datetime | None = strawberry.field(
        description="When it was last used, to about a minute; null if it never was."
    )
    replaced_by: strawberry.ID | None = strawberry.field(
        description="The key that it was rotated into; null if it was not."
    )

    @classmethod
    def of(cls, key: api_keys.ApiKey) -> Self:
        """The domain's key."""
        return cls(
            key_id=strawberry.ID(str(key.key_id)),
            name=key.name,
            prefix=key.prefix,
            roles=list(key.roles),
            state=key.state(datetime.now(UTC)),
            created_at=key.created_at,
            created_by=key.created_by,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            last_used_at=key.last_used_at,
            replaced_by=strawberry.ID(str(key.replaced_by)) if key.replaced_by else None,
        )
