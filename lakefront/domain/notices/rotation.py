"""A new encryption key: every tenant's webhooks' secrets are encrypted under it, as credentials are (ADR 28)."""

import logging
from typing import Final

from lakefront.actor import POLICIES_MANAGE, Actor
from lakefront.db.database import Database
from lakefront.domain.integrations import CredentialKeys
from lakefront.domain.integrations.keys import CannotDecrypt
from lakefront.domain.integrations.rotation import Reencrypted
from lakefront.domain.notices.webhook import place, read, read_one, secrets_of

_log = logging.getLogger(__name__)

_TENANTS: Final = "SELECT DISTINCT tenant_id FROM lakefront.webhooks WHERE key_id <> $1 ORDER BY 1"
_PUT: Final = "UPDATE lakefront.webhooks SET secrets = $3, key_id = $4 WHERE tenant_id = $1 AND webhook_id = $2"


async def reencrypt(provisioner: Database, database: Database, actor: Actor, keys: CredentialKeys) -> Reencrypted:
    """Encrypt all tenants' secrets under ``keys.current`` that are not; killed in between, do it again.

    Needs the scope policies:manage.
    """
    actor.require(POLICIES_MANAGE)
    async with provisioner.transaction("-") as transaction:
        tenants = [tenant for (tenant,) in await transaction.fetch(_TENANTS, keys.current)]
    done, unreadable = 0, []
    for tenant in tenants:
        async with database.transaction(tenant) as transaction:
            rows = [row for row in await read(transaction, tenant) if row.key_id != keys.current]
        for row in rows:
            if await _one(database, tenant, row.webhook_id, keys):
                done += 1
            else:
                unreadable.append(f"{tenant} webhook {row.webhook_id} (key {row.key_id})")
    return Reencrypted(done, tuple(unreadable))


async def _one(database: Database, tenant: str, webhook_id: str, keys: CredentialKeys) -> bool:
    """Encrypt one row anew, as it is now; whether that was possible."""
    async with database.transaction(tenant) as transaction:
        now = await read_one(transaction, tenant, webhook_id, lock=True)
        if now is None or now.key_id == keys.current:
            return True
        try:
            key_id, data = keys.encrypt(place(tenant, webhook_id, now.url), secrets_of(keys, tenant, now))
        except CannotDecrypt as wrong:
            _log.error("secrets cannot be read tenant=%s webhook=%s: %s", tenant, webhook_id, wrong)
            return False
        await transaction.execute(_PUT, tenant, webhook_id, data, key_id)
    return True
