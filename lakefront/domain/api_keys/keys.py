"""What a key is: its text, what is kept of it, the states it goes through."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from lakefront.db.tables.tenants import tenant_api_keys
from lakefront.domain import ingest_tokens

MARK: Final = "_api_"
"""A key is ``<tenant>_api_<256 random bits>``. Its tenant is what stands before the first mark: the random part may
hold one, a tenant's id does not (``tenants.configuration``)."""

CHANNEL: Final = ingest_tokens.CHANNEL
"""NOTIFY channel: a key ends, or ends earlier, so what was cached of keys is void."""

MAX_TTL: Final = timedelta(days=365)
MAX_OVERLAP: Final = timedelta(days=30)
MAX_NAME: Final = 100

PREFIX: Final = 8
"""Characters of the random part by which a key is looked up and shown."""


class ApiKeyState(StrEnum):
    """Whether a key holds, and if not, why."""

    ACTIVE = "active"
    ROTATED = "rotated"
    """There is a newer one; this one holds until its overlap ends."""
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key; its text is not."""

    key_id: UUID
    name: str
    prefix: str
    roles: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: UUID | None

    @classmethod
    def of(cls, row: Iterable[Any]) -> "ApiKey":
        """The key of a row of ``COLUMNS``."""
        key_id, name, prefix, roles, *rest = row
        return cls(key_id, name, prefix, tuple(roles), *rest)

    def state(self, at: datetime) -> ApiKeyState:
        """What the key is at that time."""
        if self.revoked_at is not None:
            return ApiKeyState.REVOKED
        if self.expires_at <= at:
            return ApiKeyState.EXPIRED
        return ApiKeyState.ACTIVE if self.replaced_by is None else ApiKeyState.ROTATED


COLUMNS: Final = [tenant_api_keys.c[field.name] for field in fields(ApiKey)]


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. ``text`` is shown this once.

    It is empty on a dry run, and when a request with the same idempotency key is answered again: then the key is
    there, and its text is gone.
    """

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        """Without the text, which must not get into a log."""
        return f"NewKey({self.key!r})"


def looks_like_one(text: str) -> bool:
    """Whether ``text`` has the form of an API key: its mark comes before an ingest token's, and it is no JWT."""
    tenant, mark, _ = text.partition(MARK)
    return bool(mark) and "." not in text and ingest_tokens.MARK not in tenant + mark


def digest(text: str) -> bytes:
    """The SHA-256 by which a key is kept."""
    return sha256(text.encode()).digest()
