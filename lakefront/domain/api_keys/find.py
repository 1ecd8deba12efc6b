"""Signing in with a key: is it there, does it hold, when was it used."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from lakefront.db.database import Database
from lakefront.domain.api_keys.keys import MARK, PREFIX, digest

_MAX_TEXT: Final = 200
_NO_DIGEST: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key that holds: what an actor is made of."""

    key_id: UUID
    tenant: str
    roles: tuple[str, ...]
    expires_at: datetime
    created_at: datetime


async def find(database: Database, text: str) -> FoundKey | None:
    """The key with that text, None if there is none that holds (T4).

    Whether it is there or not, one hash is made and compared in constant time, so that timing tells nothing. Raises
    ``Unavailable`` when PostgreSQL is away.
    """
    tenant, _, random = text.partition(MARK)
    if not tenant or not random or len(text) > _MAX_TEXT or not (text.isascii() and text.isprintable()):
        return None
    given = digest(text)
    async with database.transaction(tenant) as transaction:
        rows = await transaction.fetch(
            "SELECT sha256, key_id, roles, expires_at, created_at FROM tenants.tenant_api_keys "
            "WHERE tenant_id = $1 AND prefix = $2 AND revoked_at IS NULL AND expires_at > now()",
            *(tenant, random[:PREFIX]),
        )
    found = None
    for kept, key_id, roles, expires_at, created_at in rows or [(_NO_DIGEST, None, (), None, None)]:
        if hmac.compare_digest(kept, given):
            found = FoundKey(key_id, tenant, tuple(roles), expires_at, created_at)
    return found


async def used(database: Database, uses: Mapping[tuple[str, UUID], datetime]) -> None:
    """Write when keys were last used, all at once: (tenant, key_id) -> when.

    A key that is not there (any more) is passed over, and an earlier time than the one that is kept changes nothing.
    Raises ``Unavailable``.
    """
    for tenant in sorted({tenant for tenant, _ in uses}):
        times = {key_id: at for (its, key_id), at in uses.items() if its == tenant}
        async with database.transaction(tenant) as transaction:
            # Locked in the order of their ids, so that two servers with the same keys do not wait for each other.
            await transaction.execute(
                "WITH uses AS (SELECT k.key_id, u.at FROM tenants.tenant_api_keys k "
                "JOIN unnest($2::uuid[], $3::timestamptz[]) u (key_id, at) ON u.key_id = k.key_id "
                "WHERE k.tenant_id = $1 ORDER BY k.key_id FOR NO KEY UPDATE OF k) "
                "UPDATE tenants.tenant_api_keys k SET last_used_at = greatest(k.last_used_at, uses.at) "
                "FROM uses WHERE k.tenant_id = $1 AND k.key_id = uses.key_id",
                *(tenant, list(times), list(times.values())),
            )
