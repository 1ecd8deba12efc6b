"""Imports of published data sets (C5): asked for, found, cancelled. ``runner`` carries them out.

An import's row says all that is needed to go on with it after a kill.
"""

from base64 import b32encode
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from secrets import token_bytes
from typing import Final, Protocol

import asyncpg
import msgspec
from sqlalchemy import ColumnElement, select

from lakefront.actor import LAKE_MANAGE, OPEN_DATA_READ, Actor
from lakefront.adapters.opendata import PAGE, Place
from lakefront.adapters.providers.socrata import Socrata
from lakefront.db.database import Database, Row, Transaction
from lakefront.db.tables.open_data import open_data_imports as table
from lakefront.domain import idempotency, integrations
from lakefront.domain.integrations.trial import Calling
from lakefront.domain.open_data.datasets import DATA_SETS, DataSet, data_set
from lakefront.errors import Conflict, NotFound, ValidationError

CHANNEL: Final = "lakefront_open_data"
"""NOTIFY channel: an import was asked for, or cancelled. The payload is the tenant."""


class Parts(Calling, Protocol):
    """What this takes of ``Services``: a command line has no more."""

    @property
    def database(self) -> Database:
        """The application's."""


class ImportState(StrEnum):
    """Where an import stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


UNDER_WAY: Final = frozenset({ImportState.QUEUED, ImportState.RUNNING})

HIDDEN: Final = frozenset({"place", "told", "failures", "due_at", "lease", "leased_until"})
"""Columns that are the runner's own."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking for an import came to: its row, None on a dry run; then the rows and calls that it would take."""

    row: Row | None
    rows: int = 0
    calls: int = 0


def data_sets(actor: Actor) -> list[DataSet]:
    """Those that can be imported. Needs the scope open_data:read."""
    actor.require(OPEN_DATA_READ)
    return list(DATA_SETS.values())


async def ask_for(
    services: Parts,
    actor: Actor,
    dataset: str,
    *,
    city: str | None = None,
    since: datetime | None = None,
    idempotency_key: str | None = None,
    dry_run: bool = False,
    trace_id: str = "",
) -> Asked:
    """Have the data set imported: what changed after ``since``; without it, after the import before, or all of it.

    ``city``: whose integration of Socrata is asked, the data set's own unless given. An import that failed, or was
    cancelled, is gone on with. A dry run asks the publisher how many rows there are, and changes nothing.
    Needs the scope lake:manage. Raises ``NotFound``, ``ValidationError``, ``NotConfigured``, ``Conflict`` while an
    import of it is under way, ``IdempotencyConflict``, ``Forbidden``, ``Unavailable``; a dry run as a call does.
    """
    actor.require(LAKE_MANAGE)
    wanted = data_set(dataset)
    city = wanted.city if city is None else city
    since = _checked(since)
    adapter = await integrations.adapter(services, Socrata, actor.tenant, city)
    if dry_run:
        async with services.database.transaction(actor.tenant) as transaction:
            place = await _place(transaction, actor.tenant, dataset, city, since)
            await _refuse_second(transaction, actor.tenant, dataset, city)
        rows = await adapter.count(dataset, place, trace_id=trace_id)
        return Asked(None, rows, 1 + rows // PAGE + 1 if rows else 1)

    async def run() -> str:
        return await queue(transaction, actor.tenant, wanted, city, since, by=actor.subject, trace_id=trace_id)

    request = msgspec.json.encode((dataset, city, since))
    async with services.database.transaction(actor.tenant) as transaction:
        import_id = await idempotency.once_within(transaction, actor, "importOpenData", idempotency_key, request, run)
    return Asked(await find(services, actor, import_id))


async def find(services: Parts, actor: Actor, import_id: str) -> Row:
    """The import's row. Needs the scope lake:manage; raises ``NotFound``, ``Forbidden``, ``Unavailable``."""
    actor.require(LAKE_MANAGE)
    rows = [] if "\0" in import_id else await _rows(services, actor, table.c.import_id == import_id)
    if not rows:
        raise NotFound("There is no such import. openDataImports lists those that there are.")
    return rows[0]


async def latest(services: Parts, actor: Actor, dataset: str) -> Row | None:
    """The row of the data set's last import, if there was one. Needs the scope lake:manage."""
    actor.require(LAKE_MANAGE)
    rows = await _rows(services, actor, table.c.dataset == dataset)
    return rows[0] if rows else None


async def _rows(services: Parts, actor: Actor, where: ColumnElement[bool]) -> list[Row]:
    """The newest row that is so."""
    columns = [column for column in table.columns if column.name not in {"tenant_id", *HIDDEN}]
    found = select(*columns).where(table.c.tenant_id == actor.tenant, where)
    newest = found.order_by(table.c.requested_at.desc(), table.c.import_id.desc()).limit(1)
    return await services.database.rows(actor.tenant, newest)


async def cancel(
    services: Parts, actor: Actor, import_id: str, *, idempotency_key: str | None = None, dry_run: bool = False
) -> Row:
    """Stop the import: pages that were taken in stay. One that has ended stays as it is.

    Needs the scope lake:manage. Raises ``NotFound``, ``Forbidden``, ``IdempotencyConflict``, ``Unavailable``.
    """
    found = await find(services, actor, import_id)
    if dry_run:
        stopped = {"state": ImportState.CANCELLED.value} if found["state"] in UNDER_WAY else {}
        return {**found, **stopped}

    async def run() -> None:
        changed = await transaction.fetch(_CANCEL, actor.tenant, import_id)
        if changed:
            await transaction.execute("SELECT pg_notify($1, $2)", CHANNEL, actor.tenant)

    async with services.database.transaction(actor.tenant) as transaction:
        request = msgspec.json.encode(import_id)
        await idempotency.once_within(transaction, actor, "cancelOpenDataImport", idempotency_key, request, run)
    return await find(services, actor, import_id)


async def queue(
    transaction: Transaction,
    tenant: str,
    wanted: DataSet,
    city: str,
    since: datetime | None,
    *,
    by: str,
    trace_id: str,
) -> str:
    """A new import that waits for a runner: its id. Raises ``Conflict`` while one of the data set is under way."""
    place = await _place(transaction, tenant, wanted.dataset, city, since)
    await _refuse_second(transaction, tenant, wanted.dataset, city)
    import_id = f"imp-{b32encode(token_bytes(13)).decode().lower().rstrip('=')[:20]}"
    values = (tenant, import_id, wanted.dataset, city, place.since, place.model_dump_json().encode(), by, trace_id)
    try:
        await transaction.execute(_QUEUE, *values)
    except asyncpg.UniqueViolationError:
        raise _under_way(wanted.dataset) from None  # another was first, just now
    await transaction.execute("SELECT pg_notify($1, $2)", CHANNEL, tenant)
    return import_id


_QUEUE: Final = """
INSERT INTO lakefront.open_data_imports
  (tenant_id, import_id, dataset, city, state, since, place, requested_by, trace_id)
VALUES ($1, $2, $3, $4, 'QUEUED', $5, $6, $7, $8)
"""

_CANCEL: Final = """
UPDATE lakefront.open_data_imports
SET state = 'CANCELLED', ended_at = now(), updated_at = now(), version = version + 1, lease = NULL, leased_until = NULL
WHERE tenant_id = $1 AND import_id = $2 AND state IN ('QUEUED', 'RUNNING') RETURNING 1
"""

_LATEST_PLACE: Final = """
SELECT place FROM lakefront.open_data_imports WHERE tenant_id = $1 AND dataset = $2 AND city = $3
ORDER BY requested_at DESC, import_id DESC LIMIT 1
"""

_FIRST_UNDER_WAY: Final = """
SELECT import_id FROM lakefront.open_data_imports
WHERE tenant_id = $1 AND dataset = $2 AND city = $3 AND state IN ('QUEUED', 'RUNNING')
"""


async def _place(transaction: Transaction, tenant: str, dataset: str, city: str, since: datetime | None) -> Place:
    """Where an import begins: at ``since``, or where the one before it stopped, wherever that was."""
    if since is not None:
        return Place(since=since)
    rows = await transaction.fetch(_LATEST_PLACE, tenant, dataset, city)
    return Place.model_validate(rows[0][0]) if rows else Place()


async def _refuse_second(transaction: Transaction, tenant: str, dataset: str, city: str) -> None:
    if rows := await transaction.fetch(_FIRST_UNDER_WAY, tenant, dataset, city):
        raise _under_way(dataset, rows[0][0])


def _under_way(dataset: str, import_id: str | None = None) -> Conflict:
    which = f" ({import_id})" if import_id else ""
    return Conflict(
        f"An import of {dataset} is under way already{which}. Follow it with importProgress, or stop it with "
        "cancelOpenDataImport first."
    )


def _checked(since: datetime | None) -> datetime | None:
    if since is None:
        return None
    since = since.replace(tzinfo=UTC) if since.tzinfo is None else since.astimezone(UTC)
    if since > datetime.now(UTC):
        message = "Nothing has changed after that time yet. Give one that has passed, or leave it out."
        raise ValidationError(message, details=[{"field": "since", "message": message}])
    return since
