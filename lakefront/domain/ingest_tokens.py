"""Static tokens for producers (P9): two are valid at once, so that they rotate without downtime."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final
from uuid import UUID, uuid4

from lakefront.actor import KEYS_MANAGE, PERMITS_WRITE, Actor
from lakefront.db.database import Database
from lakefront.errors import ValidationError

MARK: Final = "_ingest_"
"""A token is ``<tenant>_ingest_<256 random bits>``; the tenant is needed to look it up under row security."""

CHANNEL: Final = "lakefront_tokens"
"""NOTIFY channel: a token's validity changed, so what was cached of tokens is void."""

MAX_OVERLAP: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class IngestToken:
    """A token that is known; its text is not kept. ``expires_at`` None: valid until it is rotated out."""

    token_id: UUID
    stream: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class FoundToken:
    """A token that holds: what an actor is made of, who may write ``stream`` alone."""

    token_id: UUID
    tenant: str
    stream: str
    expires_at: datetime | None


async def rotate(database: Database, actor: Actor, stream: str, overlap: timedelta = timedelta(days=1)) -> str:
    """Make a new token for ``stream`` and return its text, which is shown only now.

    The newest token until now stays valid for ``overlap`` (0 to 30 days); all older ones end at once. Needs the scope
    keys:manage, and what the token is for: nobody makes one that may do more than they.
    """
    actor.require(KEYS_MANAGE)
    actor.require(PERMITS_WRITE)
    actor.require_stream(stream)
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise ValidationError("The overlap must be 0 to 30 days.")
    text = f"{actor.tenant}{MARK}{token_urlsafe(32)}"
    async with database.transaction(actor.tenant) as transaction:
        await transaction.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"ingest_tokens:{actor.tenant}:{stream}"
        )
        await transaction.execute(
            "DELETE FROM lakefront.ingest_tokens WHERE tenant_id = $1 AND stream = $2 AND token_id NOT IN ("
            "SELECT token_id FROM lakefront.ingest_tokens WHERE tenant_id = $1 AND stream = $2 "
            "AND (expires_at IS NULL OR expires_at > now()) ORDER BY created_at DESC LIMIT 1)",
            *(actor.tenant, stream),
        )
        await transaction.execute(
            "UPDATE lakefront.ingest_tokens SET expires_at = least(expires_at, now() + $3::interval) "
            "WHERE tenant_id = $1 AND stream = $2",
            *(actor.tenant, stream, overlap),
        )
        await transaction.execute(
            "INSERT INTO lakefront.ingest_tokens (tenant_id, token_id, stream, sha256, created_at) "
            "VALUES ($1, $2, $3, $4, clock_timestamp())",
            *(actor.tenant, uuid4(), stream, _hash(text)),
        )
        await transaction.execute("SELECT pg_notify($1, '')", CHANNEL)
    return text


async def valid_tokens(database: Database, actor: Actor, stream: str) -> list[IngestToken]:
    """The tokens of ``stream`` that are valid now, newest first. Needs the scope keys:manage."""
    actor.require(KEYS_MANAGE)
    async with database.transaction(actor.tenant) as transaction:
        rows = await transaction.fetch(
            "SELECT token_id, stream, created_at, expires_at FROM lakefront.ingest_tokens "
            "WHERE tenant_id = $1 AND stream = $2 AND (expires_at IS NULL OR expires_at > now()) "
            "ORDER BY created_at DESC",
            *(actor.tenant, stream),
        )
    return [IngestToken(*row) for row in rows]


def looks_like_one(text: str) -> bool:
    """Whether ``text`` has the form of an ingest token."""
    return MARK in text and "." not in text


async def find(database: Database, text: str) -> FoundToken | None:
    """The ingest token with that text, None if there is none that holds.

    It is compared by hash, so that timing tells nothing. Raises ``Unavailable`` when PostgreSQL is away.
    """
    tenant, mark, _ = text.partition(MARK)  # the first: a tenant's id holds none, the random part may
    if not tenant or not mark or not (text.isascii() and text.isprintable()):
        return None
    async with database.transaction(tenant) as transaction:
        rows = await transaction.fetch(
            "SELECT token_id, stream, expires_at FROM lakefront.ingest_tokens "
            "WHERE tenant_id = $1 AND sha256 = $2 AND (expires_at IS NULL OR expires_at > now())",
            *(tenant, _hash(text)),
        )
    if not rows:
        return None
    [(token_id, stream, expires_at)] = rows
    return FoundToken(token_id, tenant, stream, expires_at)


def _hash(text: str) -> bytes:
    return sha256(text.encode()).digest()
