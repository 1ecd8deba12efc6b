"""Taking a page in (C5): events into the log, rows into their tables, and the place, so that a repeat adds nothing.

First what others keep, and the log, both of which take the same row once; then our tables and the place in one
transaction. Killed in between, the page is read again, and nothing of it is there twice.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from lakefront.actor import Actor
from lakefront.adapters.opendata import Page
from lakefront.db.database import Database
from lakefront.domain.open_data import inspections, requests
from lakefront.domain.open_data.datasets import DataSet, Kind
from lakefront.domain.open_data.rows import Entry, parse
from lakefront.domain.open_data.runs import Run, Taken, advance
from lakefront.domain.services import Services
from lakefront.eventlog.events import Outcome

_KNOWN: Final = """
SELECT row_key, digest, updated_at FROM lakefront.open_data_rows
WHERE tenant_id = $1 AND dataset = $2 AND row_key = ANY($3::text[])
"""

_NOTE: Final = """
INSERT INTO lakefront.open_data_rows AS held (tenant_id, dataset, row_key, digest, updated_at)
SELECT $1, $2, r.row_key, r.digest, r.updated_at
FROM unnest($3::text[], $4::uuid[], $5::timestamptz[]) AS r(row_key, digest, updated_at) ORDER BY 1, 2, 3
ON CONFLICT (tenant_id, dataset, row_key) DO UPDATE SET digest = excluded.digest, updated_at = excluded.updated_at
WHERE held.updated_at <= excluded.updated_at
"""


async def take_in(services: Services, actor: Actor, run: Run, page: Page, *, lease: float) -> Taken:
    """Take ``page`` in for ``run``, and note where to go on; ``lease`` seconds are left then.

    Raises ``LeaseLost``, ``RateLimited`` past the tenant's quota of events, ``Unavailable``.
    """
    data_set = run.data_set
    parsed = await asyncio.to_thread(parse, data_set, page.rows, run.trace_id)
    new = await _new(services.database, run, parsed.entries.values())
    duplicates = len(parsed.entries) - len(new) + parsed.doubles
    if data_set.kind is Kind.SERVICE_REQUEST:
        refused = await requests.record(services, actor, run, new)
        parsed.problems += refused.values()
        new = [entry for entry in new if entry.key not in refused]
    await _append(services, actor, data_set, new)
    made = b"[]"
    if data_set.kind is Kind.FOOD_INSPECTION:
        made = await asyncio.to_thread(inspections.rows, run.tenant, run.city, new)
    taken = Taken(len(page.rows), len(new), duplicates, tuple(parsed.problems))
    async with services.database.transaction(run.tenant) as transaction:
        await inspections.store(transaction, made)
        columns = ([it.key for it in new], [it.digest for it in new], [it.updated_at for it in new])
        await transaction.execute(_NOTE, run.tenant, data_set.dataset, *columns)
        await advance(transaction, run, page.next, taken, last=page.last, seconds=lease)
    return taken


async def _new(database: Database, run: Run, entries: Iterable[Entry]) -> list[Entry]:
    """Those that are not known, or say something else than what is known, and no older."""
    read = list(entries)
    async with database.transaction(run.tenant) as transaction:
        rows = await transaction.fetch(_KNOWN, run.tenant, run.data_set.dataset, [entry.key for entry in read])
    known: dict[str, tuple[UUID, datetime]] = {key: (digest, updated_at) for key, digest, updated_at in rows}
    return [it for it in read if it.key not in known or _is_news(it, *known[it.key])]


def _is_news(entry: Entry, digest: UUID, updated_at: datetime) -> bool:
    # asyncpg's UUIDs are a class of their own, equal to Python's.
    return entry.updated_at >= updated_at and digest != entry.digest


async def _append(services: Services, actor: Actor, data_set: DataSet, entries: Sequence[Entry]) -> None:
    """Append the events of ``entries``; what is in the log already stays as it is."""
    if not entries:
        return
    with services.meters.tally.request(actor.tenant, data_set.stream) as counts:
        admitted = await services.allowances.admit(services, actor, len(entries))
        try:
            appended = await services.log.append(actor, data_set.stream, [entry.event for entry in entries])
            counts.accepted = sum(each.outcome is Outcome.ACCEPTED for each in appended)
            counts.duplicates = len(appended) - counts.accepted
        finally:
            admitted.settle(counts.accepted)
