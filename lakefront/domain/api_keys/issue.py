"""Making a key within a transaction: what may be made, how many, and whoever must know."""

from collections.abc import Iterable
from datetime import timedelta
from secrets import token_urlsafe
from typing import Final
from uuid import uuid4

from sqlalchemy import func, insert

from lakefront.db.database import Transaction
from lakefront.db.tables.tenants import tenant_api_keys
from lakefront.domain.api_keys.keys import CHANNEL, COLUMNS, MARK, MAX_NAME, MAX_TTL, PREFIX, ApiKey, NewKey, digest
from lakefront.errors import Conflict, ValidationError

MOST_LIVE: Final = 50
"""Keys of a tenant that hold at once, those in their overlap as well: so rotating over and over ends, too."""

MOST_ROLES: Final = 10


async def issue(
    transaction: Transaction, tenant: str, name: str, roles: Iterable[str], created_by: str, ttl: timedelta
) -> NewKey:
    """Make a key within the caller's ``transaction``, be it the provisioner's; what it may grant is the caller's duty.

    Raises ``ValidationError`` for a bad name, no roles or a lifetime beyond a year, ``Conflict`` past MOST_LIVE keys.
    """
    named = sorted(set(roles))
    check(name, named, ttl)
    await lock(transaction, tenant)
    await room_for_one(transaction, tenant)
    return await add(transaction, tenant, name, named, created_by, ttl)


def check(name: str, roles: list[str], ttl: timedelta) -> None:
    """Pass if there may be such a key; raises ``ValidationError``."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or not name.strip():
        raise invalid("name", f"A key's name has 1 to {MAX_NAME} printable characters.")
    if not 1 <= len(roles) <= MOST_ROLES:
        raise invalid("roles", f"Name 1 to {MOST_ROLES} roles.")
    if not timedelta(0) < ttl <= MAX_TTL:
        raise invalid("ttl", f"A key lives 1 to {MAX_TTL.days} days. Ask for less, and rotate it in time.")


async def lock(transaction: Transaction, tenant: str) -> None:
    """One change of a tenant's keys at a time: of two rotations of a key, the second sees the first."""
    await transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"api_keys:{tenant}")


async def room_for_one(transaction: Transaction, tenant: str) -> None:
    """Pass if one key more may hold, under the ``lock``; raises ``Conflict`` past MOST_LIVE."""
    [(live,)] = await transaction.fetch(
        "SELECT count(*) FROM tenants.tenant_api_keys "
        "WHERE tenant_id = $1 AND revoked_at IS NULL AND expires_at > now()",
        tenant,
    )
    if live >= MOST_LIVE:
        raise Conflict(
            f"This tenant has {MOST_LIVE} API keys that hold, which is the most; rotated ones count until their "
            "overlap ends. Revoke one first, or rotate without an overlap."
        )


async def add(
    transaction: Transaction, tenant: str, name: str, roles: Iterable[str], created_by: str, ttl: timedelta
) -> NewKey:
    """Make a key, unchecked, under the ``lock``.

    Nobody is told: a key that was not there before is remembered by no server, not even as unknown.
    """
    random = token_urlsafe(32)
    text = f"{tenant}{MARK}{random}"
    values = {
        "tenant_id": tenant,
        "key_id": uuid4(),
        "name": name,
        "prefix": random[:PREFIX],
        "sha256": digest(text),
        "roles": list(roles),
        "created_at": func.now(),
        "created_by": created_by,
        "expires_at": func.now() + ttl,
    }
    [row] = await transaction.fetch(insert(tenant_api_keys).values(values).returning(*COLUMNS))
    return NewKey(ApiKey.of(row), text)


async def announce(transaction: Transaction) -> None:
    """Tell all servers, once the transaction is committed, that a key ends, or ends earlier."""
    await transaction.execute("SELECT pg_notify($1, '')", CHANNEL)


def invalid(field: str, message: str) -> ValidationError:
    """The error for one field of a request."""
    return ValidationError(message, details=[{"field": field, "message": message}])
