"""Rows of ``integrations``: read, decrypted, and bound to the place where they stand."""

from urllib.parse import urlsplit

from sqlalchemy import select

from lakefront.adapters.endpoint import Endpoint
from lakefront.db.database import Transaction
from lakefront.db.tables.integrations import integrations as table
from lakefront.domain.integrations.integration import COLUMNS, Row
from lakefront.domain.integrations.keys import CredentialKeys, Encrypted, Place


def origin(base_url: str) -> str:
    """Scheme, host and port: whom credentials are sent to."""
    try:
        parts = urlsplit(base_url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return base_url  # nobody stored that through a door
    return f"{parts.scheme}://{parts.hostname or ''}:{port}".lower()


def place(tenant: str, row: Row) -> Place:
    """Where the row's credentials belong."""
    return Place(tenant, row.provider, row.city, origin(row.base_url))


def decrypted(keys: CredentialKeys, tenant: str, row: Row) -> dict[str, str]:
    """The row's credentials; raises ``CannotDecrypt``."""
    return keys.decrypt(place(tenant, row), Encrypted(row.key_id, row.credentials))


def endpoint(keys: CredentialKeys, tenant: str, row: Row) -> Endpoint:
    """The row as adapters take it; raises ``CannotDecrypt``."""
    return Endpoint(
        *(tenant, row.provider, row.city, row.base_url, row.api_version, decrypted(keys, tenant, row)),
        *(row.quota_daily, row.version),
    )


async def read(transaction: Transaction, tenant: str) -> list[Row]:
    """All rows of the tenant, by provider and city."""
    ours = select(*COLUMNS).where(table.c.tenant_id == tenant).order_by(table.c.provider, table.c.city)
    return [Row(*row) for row in await transaction.fetch(ours)]


async def read_one(
    transaction: Transaction, tenant: str, provider: str, city: str, *, lock: bool = False
) -> Row | None:
    """One row, ``None`` if there is none; with ``lock`` nobody else changes it while the transaction lasts."""
    one = select(*COLUMNS).where(table.c.tenant_id == tenant, table.c.provider == provider, table.c.city == city)
    rows = await transaction.fetch(one.with_for_update() if lock else one)
    return Row(*rows[0]) if rows else None
