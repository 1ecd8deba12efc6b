"""What is told of an integration, and what may be asked to change: credentials come in, and never out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lakefront.adapters.base import Adapter
from lakefront.adapters.registry import providers
from lakefront.db.tables.integrations import integrations as table
from lakefront.domain.cities import invalid
from lakefront.errors import ValidationError

MOST_CREDENTIAL: Final = 8192
"""Characters of one credential."""

MOST_CALLS: Final = 2**31 - 1
"""Calls a day that a quota may allow."""

COLUMNS: Final = [column for column in table.columns if column.name != "tenant_id"]
"""Of a row, in the order of ``Row``."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of ``integrations`` as it is stored; ``credentials_set``: name -> when it was set."""

    provider: str
    city: str
    base_url: str
    api_version: str
    credentials: bytes
    key_id: str
    credentials_set: dict[str, str]
    quota_daily: int | None
    enabled: bool
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class CredentialState:
    """A credential that an integration may have: whether it is set, and since when; never what it is."""

    name: str
    description: str
    required: bool
    set_at: datetime | None


@dataclass(frozen=True, slots=True)
class Integration:
    """How an outside system is reached. ``quota_daily``: calls a UTC day, None without a bound."""

    provider: str
    title: str
    city: str
    base_url: str
    api_version: str
    credentials: tuple[CredentialState, ...]
    quota_daily: int | None
    enabled: bool
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str

    @classmethod
    def of(cls, row: Row) -> "Integration":
        """What may be told of ``row``; also of a provider whose adapter is gone."""
        adapter = providers().get(row.provider)
        states = {state.name: state for state in (credentials_of(adapter) if adapter else ())}
        for name in sorted(row.credentials_set):
            states.setdefault(name, CredentialState(name, "", required=False, set_at=None))
        return cls(
            provider=row.provider,
            title=adapter.title if adapter else row.provider,
            city=row.city,
            base_url=row.base_url,
            api_version=row.api_version,
            credentials=tuple(replace(state, set_at=_time(row, name)) for name, state in states.items()),
            quota_daily=row.quota_daily,
            enabled=row.enabled,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
            updated_by=row.updated_by,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """An integration as it is now. ``changed`` names what is new of it, without values; ``created``: all of it."""

    integration: Integration
    created: bool
    changed: tuple[str, ...]


GivenCredentials = dict[str, Annotated[str, Meta(max_length=MOST_CREDENTIAL)] | None]
"""Name -> the new value, None to remove it."""


class IntegrationInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An integration as it is to be. What is left out stays as it is, or is the adapter's default in a new one.

    ``base_url`` and ``api_version``: None for the adapter's default. ``quota_daily``: None for no bound.
    """

    provider: str
    city: str = ""
    base_url: str | UnsetType | None = UNSET
    api_version: str | UnsetType | None = UNSET
    credentials: GivenCredentials = {}
    quota_daily: Annotated[int, Meta(ge=0, le=MOST_CALLS)] | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET

    def __repr__(self) -> str:
        """Without credentials."""
        return f"IntegrationInput({self.provider!r}, {self.city!r}, credentials: {', '.join(self.credentials)})"


def credentials_of(adapter: type[Adapter]) -> tuple[CredentialState, ...]:
    """The credentials that an adapter takes, none of them set."""
    return tuple(
        CredentialState(name, what, required=name not in adapter.optional_credentials, set_at=None)
        for name, what in adapter.credentials.items()
    )


def available() -> list[type[Adapter]]:
    """The adapters that there are, by their providers' names."""
    return list(providers().values())


def adapter_of(provider: str) -> type[Adapter]:
    """The adapter of that name; raises ``ValidationError``."""
    found = providers().get(provider)
    if found is None:
        raise invalid("provider", f"There is no adapter '{provider[:40]}'. There is: {', '.join(providers())}.")
    return found


def check_credentials(adapter: type[Adapter], given: Mapping[str, str | None]) -> None:
    """Pass if ``adapter`` has such credentials, of a form that fits; raises ``ValidationError``, without a value."""
    for name, value in given.items():
        if name not in adapter.credentials:
            known = ", ".join(adapter.credentials) or "none"
            raise _wrong(name[:40], f"{adapter.title} has no such credential. It has: {known}.")
        if value is not None and not (0 < len(value) <= MOST_CREDENTIAL and value.isprintable()):
            raise _wrong(name, f"A credential has 1 to {MOST_CREDENTIAL} printable characters, in one line.")


def _wrong(name: str, message: str) -> ValidationError:
    return invalid(f"credentials.{name}", message)


def _time(row: Row, name: str) -> datetime | None:
    found: Any = row.credentials_set.get(name)
    return None if found is None else datetime.fromisoformat(found)
