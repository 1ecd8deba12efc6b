"""Writing an integration: what is given over what is stored, encrypted for its place, with who changed what."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from msgspec import UNSET
from sqlalchemy.dialects.postgresql import insert

from lakefront.actor import Actor
from lakefront.adapters.base import Adapter
from lakefront.adapters.endpoint import checked_base_url
from lakefront.db.database import Database, Transaction
from lakefront.db.tables.integrations import integration_changes
from lakefront.db.tables.integrations import integrations as table
from lakefront.domain.cities import invalid
from lakefront.domain.integrations.integration import COLUMNS, Change, Integration, IntegrationInput, Row
from lakefront.domain.integrations.keys import CannotDecrypt, CredentialKeys
from lakefront.domain.integrations.rows import decrypted, origin, place
from lakefront.errors import Conflict
from lakefront.settings import Settings

MOST: Final = 500
"""Integrations of one tenant."""


class Parts(Protocol):
    """What this takes of ``Services``: a command line has no more."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def database(self) -> Database:
        """The application's."""

    @property
    def credential_keys(self) -> CredentialKeys:
        """The keys under which credentials are stored."""


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
    [row] = await transaction.fetch(_statement(actor, new))
    await transaction.execute(
        insert(integration_changes).values(
            tenant_id=actor.tenant,
            provider=new.provider,
            city=new.city,
            version=new.version,
            changed_by=actor.subject,
            on_behalf_of=actor.on_behalf_of,
            changed=names,
        )
    )
    return Change(Integration.of(Row(*row)), created=old is None, changed=tuple(names))


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
    kept = _kept(parts.credential_keys, tenant, given, new, old)
    values = kept | {name: value for name, value in given.credentials.items() if value is not None}
    key_id, data = parts.credential_keys.encrypt(place(tenant, new), values)
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


def _statement(actor: Actor, new: Row) -> Any:
    values = {column.name: getattr(new, column.name) for column in COLUMNS}
    del values["created_at"], values["updated_at"]
    made = insert(table).values(tenant_id=actor.tenant, **values | {"updated_by": actor.subject})
    keys = {"provider", "city"}
    changed = {name: made.excluded[name] for name in [*values, "updated_at"] if name not in keys}
    return made.on_conflict_do_update(index_elements=["tenant_id", *keys], set_=changed).returning(*COLUMNS)


async def _room(transaction: Transaction, tenant: str) -> None:
    [(there,)] = await transaction.fetch("SELECT count(*) FROM lakefront.integrations WHERE tenant_id = $1", tenant)
    if there >= MOST:
        raise Conflict(f"This tenant has {MOST} integrations, which is the most.")
