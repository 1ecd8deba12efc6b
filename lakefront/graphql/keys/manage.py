"""The mutations of API keys. A key's text is in the answer of the one that made it, and nowhere else ever."""

from datetime import timedelta
from typing import Annotated, Final, Self

import strawberry
from strawberry import UNSET

from lakefront.actor import KEYS_MANAGE
from lakefront.domain import api_keys
from lakefront.graphql.context import Info
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.fields import given, mutation
from lakefront.graphql.keys.types import ApiKey
from lakefront.graphql.reports import DryRunReport

_DAYS: Final = api_keys.MAX_TTL.days
_OVERLAP_HOURS: Final = api_keys.MAX_OVERLAP // timedelta(hours=1)

KeyId = Annotated[strawberry.ID, strawberry.argument(description="The key's id.")]
IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(description="The same key with the same arguments changes nothing more."),
]
DryRun = Annotated[bool | None, strawberry.argument(description="Check and report, but change nothing.")]


@strawberry.type(description="A key that was made.")
class NewApiKeyPayload:
    """The key and, this once, its text."""

    api_key: ApiKey | None = strawberry.field(description="The new key; null on a dry run.")
    key: str | None = strawberry.field(
        description="Its text, for the header X-API-Key: shown this once, so save it now. Null on a dry run, and where "
        "replayed is true."
    )
    replayed: bool = strawberry.field(
        description="Whether this answers an idempotency key again: the key was made, and shown, before. Rotate it if "
        "its text is lost."
    )
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")

    @classmethod
    def of(cls, made: api_keys.NewKey, *, changes: int, dry_run: bool) -> Self:
        """What the domain made, or would have made by ``changes`` changes."""
        return cls(
            api_key=None if dry_run else ApiKey.of(made.key),
            key=made.text or None,
            replayed=not dry_run and not made.text,
            report=_report(changes) if dry_run else None,
        )


@strawberry.type(description="A key that was revoked.")
class RevokeApiKeyPayload:
    """The key."""

    api_key: ApiKey = strawberry.field(description="The key; on a dry run as it would be.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")


@strawberry.type
class Mutation:
    """What can be done to keys."""

    @mutation(
        "Make an API key, for roles that may do no more than you. Its text is in the answer alone.",
        requires=KEYS_MANAGE,
        limit="10/minute",
    )
    async def create_api_key(
        self,
        info: Info,
        name: Annotated[str, strawberry.argument(description="What it is for: 1 to 100 printable characters.")],
        roles: Annotated[list[str], strawberry.argument(description="What it may do: reader, service, …")],
        ttl_days: Annotated[
            int | None,
            strawberry.argument(description=f"Days it lives, 1 to {_DAYS}; 90 unless the server is set otherwise."),
        ] = UNSET,
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> NewApiKeyPayload:
        """The one use-case, as REST calls it."""
        days = given(ttl_days)
        if days is not None and not 1 <= days <= _DAYS:
            raise refused("ttlDays", f"Give 1 to {_DAYS} days.")
        made = await api_keys.create(
            info.context.services,
            info.context.actor,
            name,
            roles,
            None if days is None else timedelta(days=days),
            idempotency_key=given(idempotency_key),
            dry_run=bool(dry_run),
        )
        return NewApiKeyPayload.of(made, changes=1, dry_run=bool(dry_run))

    @mutation(
        "Make a key in place of another, with its name, roles and lifetime. The old one holds on for the overlap; with "
        "overlapHours: 0 it ends at once, for one whose text was lost or got into wrong hands. One that it had "
        "replaced itself holds for as long as it was promised.",
        requires=KEYS_MANAGE,
        limit="10/minute",
    )
    async def rotate_api_key(
        self,
        info: Info,
        key_id: KeyId,
        overlap_hours: Annotated[
            int,
            strawberry.argument(description=f"Hours that the old one holds on, 0 to {_OVERLAP_HOURS}; 0 ends it now."),
        ] = 24,
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> NewApiKeyPayload:
        """The one use-case, as REST calls it."""
        if not 0 <= overlap_hours <= _OVERLAP_HOURS:
            raise refused("overlapHours", f"Give 0 to {_OVERLAP_HOURS} hours.")
        made = await api_keys.rotate(
            info.context.services,
            info.context.actor,
            api_keys.key_id(key_id),
            timedelta(hours=overlap_hours),
            idempotency_key=given(idempotency_key),
            dry_run=bool(dry_run),
        )
        return NewApiKeyPayload.of(made, changes=2, dry_run=bool(dry_run))

    @mutation(
        "End a key within a second, on every server and open socket. One that was revoked before stays as it is; the "
        "tenant's last one that may manage keys is a CONFLICT without force.",
        requires=KEYS_MANAGE,
    )
    async def revoke_api_key(
        self,
        info: Info,
        key_id: KeyId,
        force: Annotated[
            bool | None,
            strawberry.argument(description="Revoke also the last key by which your tenant can make others."),
        ] = False,
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> RevokeApiKeyPayload:
        """The one use-case, as REST calls it."""
        key = await api_keys.revoke(
            info.context.services,
            info.context.actor,
            api_keys.key_id(key_id),
            force=bool(force),
            idempotency_key=given(idempotency_key),
            dry_run=bool(dry_run),
        )
        return RevokeApiKeyPayload(api_key=ApiKey.of(key), report=_report(1) if dry_run else None)


def _report(changes: int) -> DryRunReport:
    return DryRunReport(changes=changes, quota=0, outside_calls=0)
