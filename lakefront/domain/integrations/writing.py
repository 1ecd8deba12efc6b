"""Writing an integration: what is given over what is stored, encrypted for its place, with who changed what."""

from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final, Protocol

import orjson
from msgspec import UNSET

from lakefront.actor import Actor
from lakefront.adapters.base import Adapter
from lakefront.adapters.endpoint import checked_base_url
from lakefront.db.database import Database, Transaction
from lakefront.domain.cities import invalid
from lakefront.domain.integrations.endpoints import Endpoints
from lakefront.domain.integrations.integration import Change, Integration, IntegrationInput, Row
from lakefront.domain.integrations.keys import CannotDecrypt, CredentialKeys
from lakefront.domain.integrations.rows import decrypted, origin, place
from lakefront.errors import Conflict
from lakefront.settings import Settings

MOST: Final = 500
"""Integrations of one tenant."""

_VALUES: Final = attrgetter(
    *("provider", "city", "base_url", "api_version", "credentials", "key_id", "quota_daily", "enabled", "version")
)
_PUT: Final = """
INSERT INTO lakefront.integrations (
  tenant_id, provider, city, base_url, api_version, credentials, key_id, quota_daily, enabled, version,
  credentials_set, updated_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (tenant_id, provider, city) DO UPDATE SET base_url = EXCLUDED.base_url, api_version = EXCLUDED.api_version,
  credentials = EXCLUDED.credentials, key_id = EXCLUDED.key_id, quota_daily = EXCLUDED.quota_daily,
  enabled = EXCLUDED.enabled, version = EXCLUDED.version, credentials_set = EXCLUDED.credentials_set,
  updated_by = EXCLUDED.updated_by, updated_at = EXCLUDED.updated_at
RETURNING created_at, updated_at
"""
_NOTE: Final = """
INSERT INTO lakefront.integration_changes (tenant_id, provider, city, version, changed_by, on_behalf_of, changed)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


class Parts(Protocol):
    """What this takes of ``Services``: a command line has no more."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def database(self) -> Database:
        """The application's."""

    @property
    def endpoints(self) -> Endpoints:
        """Where outside systems are reached, and the keys under which credentials are stored."""


async def write(
    parts: Parts,
    actor: Actor,
    transaction: Transaction,
    adapter: type[Adapter],
    given: IntegrationInput,
    old: Row | None,
) -> Change:
    """Write what is new, if anything is, and who did it."""
    new = _merged(parts, actor.tenant, adapter, given, old)
    names = [name for name in ("base_url", "api_version", "quota_daily", "enabled") if _differs(old, new, name)]
    names += [f"credentials.{name}" for name in sorted(given.credentials) if old is None or _touched(old, new, name)]
    if old is not None and not names:
        return Change(Integration.of(old), created=False, changed=())
    if old is None:
        await _room(transaction, actor.tenant)
    values = (actor.tenant, *_VALUES(new), orjson.dumps(new.credentials_set))
    [(created_at, updated_at)] = await transaction.fetch(_PUT, *values, actor.subject)
    await transaction.execute(
        _NOTE, actor.tenant, new.provider, new.city, new.version, actor.subject, actor.on_behalf_of, names
    )
    row = replace(new, created_at=created_at, updated_at=updated_at, updated_by=actor.subject)
    return Change(Integration.of(row), created=old is None, changed=tuple(names))


def _merged(parts: Parts, tenant: str, adapter: type[Adapter], given: IntegrationInput, old: Row | None) -> Row:
    """The row as it is to be: what is given over what is stored, that over the adapter's defaults."""
    now = datetime.now(UTC)
    row = old or Row(
        provider=given.provider,
        city=given.city,
        base_url=adapter.default_base_url,
        api_version=adapter.api_versions[0],
        credentials=b"",
        key_id="",
        credentials_set={},
        quota_daily=adapter.quota_daily,
        enabled=True,
        version=0,
        created_at=now,
        updated_at=now,
        updated_by="",
    )
    wanted: dict[str, Any] = {
        "base_url": adapter.default_base_url if given.base_url is None else given.base_url,
        "api_version": adapter.api_versions[0] if given.api_version is None else given.api_version,
        "quota_daily": given.quota_daily,
        "enabled": given.enabled,
    }
    wanted = {name: value for name, value in wanted.items() if value is not UNSET}
    if "base_url" in wanted:
        wanted["base_url"] = checked_base_url(wanted["base_url"], loopback=parts.settings.loopback_integrations)
    new = replace(row, version=row.version + 1, **wanted)
    if old is not None and not given.credentials and origin(new.base_url) == origin(old.base_url):
        return new
    kept = _kept(parts.endpoints.keys, tenant, given, new, old)
    values = kept | {name: value for name, value in given.credentials.items() if value is not None}
    key_id, data = parts.endpoints.keys.encrypt(place(tenant, new), values)
    times = {name: row.credentials_set[name] if name in kept else now.isoformat() for name in sorted(values)}
    return replace(new, key_id=key_id, credentials=data, credentials_set=times)


def _kept(keys: CredentialKeys, tenant: str, given: IntegrationInput, new: Row, old: Row | None) -> dict[str, str]:
    """The stored credentials that stay; none may, where they would be sent to another host."""
    names = [] if old is None else [name for name in old.credentials_set if name not in given.credentials]
    if old is None or not names:
        return {}
    if origin(new.base_url) != origin(old.base_url):
        raise invalid(
            "credentials",
            f"Credentials are sent only to the host that they were given for. Give {', '.join(names)} again with the "
            "new base URL, or null to remove it.",
        )
    try:
        stored = decrypted(keys, tenant, old)
    except CannotDecrypt as wrong:
        raise Conflict(
            f"The stored credentials cannot be read: {wrong}. Give all of them anew ({', '.join(old.credentials_set)}),"
            " or give the server the key that they were encrypted under."
        ) from wrong
    return {name: stored[name] for name in names if name in stored}


def _differs(old: Row | None, new: Row, name: str) -> bool:
    return old is None or bool(getattr(old, name) != getattr(new, name))


def _touched(old: Row, new: Row, name: str) -> bool:
    return name in old.credentials_set or name in new.credentials_set


async def _room(transaction: Transaction, tenant: str) -> None:
    [(there,)] = await transaction.fetch("SELECT count(*) FROM lakefront.integrations WHERE tenant_id = $1", tenant)
    if there >= MOST:
        raise Conflict(f"This tenant has {MOST} integrations, which is the most.")
