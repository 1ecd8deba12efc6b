"""Cities that a tenant serves: a short name, by which everything else names them, and what people call them (C7)."""

import re
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from lakefront.actor import INTEGRATIONS_MANAGE, Actor
from lakefront.db.database import Database, Transaction
from lakefront.db.tables.cities import cities as table
from lakefront.domain import idempotency
from lakefront.errors import Conflict, ValidationError

MAX_NAME: Final = 100
MOST: Final = 500
"""Cities of one tenant."""

_SLUG: Final = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]", re.ASCII)


class Parts(Protocol):
    """What this takes of ``Services``: a command line has no more."""

    @property
    def database(self) -> Database:
        """The application's."""


@dataclass(frozen=True, slots=True)
class City:
    """A city. ``latitude`` and ``longitude`` of its middle are in degrees (WGS 84), ``time_zone`` is IANA's name."""

    slug: str
    name: str
    latitude: float | None
    longitude: float | None
    time_zone: str | None
    created_at: datetime
    updated_at: datetime


class CityInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A city as it is to be; what is left out stays as it is."""

    slug: str
    name: str
    latitude: float | UnsetType | None = UNSET
    longitude: float | UnsetType | None = UNSET
    time_zone: str | UnsetType | None = UNSET


_COLUMNS: Final = [table.c[field.name] for field in fields(City)]


async def cities(parts: Parts, actor: Actor) -> list[City]:
    """The cities of the actor's tenant, by their slugs: for everybody who is signed in."""
    return [
        msgspec.convert(row, City)
        for row in await parts.database.rows(
            actor.tenant, select(*_COLUMNS).where(table.c.tenant_id == actor.tenant).order_by(table.c.slug)
        )
    ]


async def upsert(
    parts: Parts, actor: Actor, given: CityInput, *, idempotency_key: str | None = None, dry_run: bool = False
) -> City:
    """Let there be such a city; on a dry run, what would be there.

    Needs the scope integrations:manage. Raises ``ValidationError``, ``Conflict`` past MOST cities, ``Forbidden``,
    ``IdempotencyConflict``, ``Unavailable``.
    """
    actor.require(INTEGRATIONS_MANAGE)
    _check(given)
    values = {name: value for name, value in msgspec.structs.asdict(given).items() if value is not UNSET}

    async def run() -> City:
        made = insert(table).values(tenant_id=actor.tenant, **values)
        changed = {name: made.excluded[name] for name in values if name != "slug"}
        update = made.on_conflict_do_update(
            index_elements=["tenant_id", "slug"], set_={**changed, "updated_at": func.now()}
        ).returning(*_COLUMNS)
        [row] = await transaction.fetch(update)
        await _room(transaction, actor.tenant)
        return City(*row)

    with suppress(_DryRun):
        async with parts.database.transaction(actor.tenant) as transaction:
            key, body = None if dry_run else idempotency_key, msgspec.json.encode(given)
            stored = await idempotency.once_within(transaction, actor, "upsertCity", key, body, run)
            if dry_run:
                raise _DryRun
    return msgspec.convert(stored, City)


async def require_city(transaction: Transaction, tenant: str, slug: str) -> None:
    """Pass if the tenant has that city, which then stays while the transaction lasts; raises ``ValidationError``."""
    known = is_slug(slug) and await transaction.fetch(
        "SELECT 1 FROM lakefront.cities WHERE tenant_id = $1 AND slug = $2 FOR KEY SHARE", tenant, slug
    )
    if not known:
        raise invalid("city", f"There is no city '{slug[:40]}' here. Add it first: upsertCity, lakefront add-city.")


def is_slug(text: str) -> bool:
    """Whether a city may be called so; what is no slug may be no text for PostgreSQL either."""
    return _SLUG.fullmatch(text) is not None


def invalid(field: str, message: str) -> ValidationError:
    """The error for one field of a request."""
    return ValidationError(message, details=[{"field": field, "message": message}])


class _DryRun(Exception):
    """Everything was checked, nothing is to stay."""


def _check(given: CityInput) -> None:
    if not is_slug(given.slug):
        raise invalid("slug", "A city's slug has 2 to 32 of a-z, 0-9 and '-', the first a letter: nyc, bos.")
    if not 1 <= len(given.name) <= MAX_NAME or not given.name.isprintable() or not given.name.strip():
        raise invalid("name", f"A city's name has 1 to {MAX_NAME} printable characters.")
    if type(given.latitude) is not type(given.longitude):
        raise invalid("latitude", "Give both, latitude and longitude, or none of them.")
    for field, most in (("latitude", 90.0), ("longitude", 180.0)):
        value: Any = getattr(given, field)
        if value not in (None, UNSET) and not -most <= value <= most:
            raise invalid(field, f"A {field} is -{most:g} to {most:g} degrees.")
    if isinstance(given.time_zone, str):
        try:
            ZoneInfo(given.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise invalid("timeZone", "Give a time zone by its IANA name: America/New_York.") from None


async def _room(transaction: Transaction, tenant: str) -> None:
    [(there,)] = await transaction.fetch("SELECT count(*) FROM lakefront.cities WHERE tenant_id = $1", tenant)
    if there > MOST:
        raise Conflict(f"This tenant has {MOST} cities, which is the most.")
