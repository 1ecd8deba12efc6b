"""What a registered webhook is: its row, what is told of it, and the endpoint that the adapter calls."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.providers.webhook import Webhook as Adapter
from lakefront.db.database import Transaction
from lakefront.domain.integrations import CredentialKeys
from lakefront.domain.integrations.keys import Encrypted, Place
from lakefront.domain.integrations.rows import origin

COLUMNS: Final = (
    "webhook_id, name, url, secrets, key_id, has_path, old_secret_until, enabled, version, created_at, updated_at, "
    "updated_by"
)
"""Of a row, in the order of ``Row``."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of ``webhooks`` as it is stored."""

    webhook_id: str
    name: str
    url: str
    secrets: bytes
    key_id: str
    has_path: bool
    old_secret_until: datetime | None
    enabled: bool
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver, as it is told: no secret. ``old_secret_until``: until then the one before signs, too."""

    webhook_id: str
    name: str
    url: str
    has_path: bool
    old_secret_until: datetime | None
    enabled: bool
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str

    @classmethod
    def of(cls, row: Row) -> "Webhook":
        """What may be told of ``row``."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class WithSecret:
    """A webhook and its new secret; ``""`` where it was shown before, or on a dry run."""

    webhook: Webhook
    secret: str

    def __repr__(self) -> str:
        return f"WithSecret({self.webhook!r}, …)"


Path = Annotated[str, Meta(min_length=1, max_length=2000)]


class NewWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A receiver to be. ``path``: what comes behind the URL, with its query, where that is itself a secret."""

    name: str
    url: str
    path: Path | None = None

    def __repr__(self) -> str:
        return f"NewWebhook({self.name!r}, …)"


class WebhookChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to change of a receiver; what is left out stays. ``path`` None: there is none any more."""

    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    path: Path | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET

    def __repr__(self) -> str:
        return "WebhookChanges(…)"


def place(tenant: str, webhook_id: str, url: str) -> Place:
    """Where a webhook's secrets belong: moved to another row, or sent to another host, they are worth nothing."""
    return Place(tenant, Adapter.provider, webhook_id, origin(url))


def secrets_of(keys: CredentialKeys, tenant: str, row: Row) -> dict[str, str]:
    """The row's secrets; raises ``CannotDecrypt``."""
    return keys.decrypt(place(tenant, row.webhook_id, row.url), Encrypted(row.key_id, row.secrets))


def endpoint(keys: CredentialKeys, tenant: str, row: Row, now: datetime) -> Endpoint:
    """The row as the adapter takes it, with a breaker and a bulkhead of its own; raises ``CannotDecrypt``."""
    stored = secrets_of(keys, tenant, row)
    credentials: dict[str, str] = {name: stored[name] for name in ("secret", "path") if name in stored}
    if "old_secret" in stored and row.old_secret_until is not None and now < row.old_secret_until:
        credentials["next_secret"] = stored["old_secret"]  # the adapter's name for the second one that signs
    return Endpoint(tenant, Adapter.provider, row.webhook_id, row.url, "v1", credentials, None, row.version)


async def read(transaction: Transaction, tenant: str) -> list[Row]:
    """All rows of the tenant, by name."""
    rows = await transaction.fetch(
        f"SELECT {COLUMNS} FROM lakefront.webhooks WHERE tenant_id = $1 ORDER BY name, webhook_id",  # noqa: S608
        tenant,
    )
    return [Row(*row) for row in rows]


async def read_one(transaction: Transaction, tenant: str, webhook_id: str, *, lock: bool = False) -> Row | None:
    """One row, None if there is none; with ``lock`` nobody else changes it while the transaction lasts."""
    if "\0" in webhook_id:
        return None
    rows = await transaction.fetch(
        f"SELECT {COLUMNS} FROM lakefront.webhooks "  # noqa: S608 - names of our own columns
        f"WHERE tenant_id = $1 AND webhook_id = $2{' FOR UPDATE' if lock else ''}",
        *(tenant, webhook_id),
    )
    return Row(*rows[0]) if rows else None
