"""A new encryption key: every tenant's credentials are encrypted under it, a row at a time, while servers run."""

import logging
from dataclasses import dataclass
from typing import Final

from lakefront.actor import POLICIES_MANAGE, Actor
from lakefront.db.database import Database
from lakefront.domain.integrations.integration import Row
from lakefront.domain.integrations.keys import CannotDecrypt, CredentialKeys
from lakefront.domain.integrations.rows import decrypted, place, read, read_one

_log = logging.getLogger(__name__)

_KEYS: Final = """
SELECT tenant_id, key_id, count(*) FROM (
  SELECT tenant_id, key_id FROM lakefront.integrations
  UNION ALL SELECT tenant_id, key_id FROM lakefront.webhooks) kept
GROUP BY 1, 2 ORDER BY 1, 2
"""
_PUT: Final = (
    "UPDATE lakefront.integrations SET credentials = $4, key_id = $5 "
    "WHERE tenant_id = $1 AND provider = $2 AND city = $3"
)


@dataclass(frozen=True, slots=True)
class Reencrypted:
    """How many rows are under the current key now that were not, and the rows that could not be read: who, of what."""

    done: int
    unreadable: tuple[str, ...]


async def reencrypt(provisioner: Database, database: Database, actor: Actor, keys: CredentialKeys) -> Reencrypted:
    """Encrypt all tenants' credentials under ``keys.current`` that are not; killed in between, do it again.

    A row's version stays, as nothing that anybody can tell has changed. Needs the scope policies:manage.
    """
    actor.require(POLICIES_MANAGE)
    done, unreadable = 0, []
    for tenant in sorted({tenant for tenant, key_id, _ in await _used(provisioner) if key_id != keys.current}):
        async with database.transaction(tenant) as transaction:
            rows = [row for row in await read(transaction, tenant) if row.key_id != keys.current]
        for row in rows:
            if await _one(database, tenant, row, keys):
                done += 1
            else:
                unreadable.append(" ".join(filter(None, (tenant, row.provider, row.city, f"(key {row.key_id})"))))
    return Reencrypted(done, tuple(unreadable))


async def under_unknown_keys(provisioner: Database, keys: CredentialKeys) -> int:
    """How many rows of all tenants, webhooks too, cannot be read with ``keys``: others have them, or they are lost."""
    return sum(count for _, key_id, count in await _used(provisioner) if key_id not in keys)


async def _used(provisioner: Database) -> list[tuple[str, str, int]]:
    async with provisioner.transaction("-") as transaction:
        return [tuple(row) for row in await transaction.fetch(_KEYS)]


async def _one(database: Database, tenant: str, row: Row, keys: CredentialKeys) -> bool:
    """Encrypt one row anew, as it is now; whether that was possible."""
    async with database.transaction(tenant) as transaction:
        now = await read_one(transaction, tenant, row.provider, row.city, lock=True)
        if now is None or now.key_id == keys.current:
            return True
        try:
            key_id, data = keys.encrypt(place(tenant, now), decrypted(keys, tenant, now))
        except CannotDecrypt as wrong:
            _log.error(
                "credentials cannot be read tenant=%s integration.provider=%s city=%s: %s",
                *(tenant, row.provider, row.city, wrong),
            )
            return False
        await transaction.execute(_PUT, tenant, now.provider, now.city, data, key_id)
    return True
