"""Requests that cities publish, in batches (C5): a row each, with the newest word on it, however they come."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import select

from lakefront import tracing
from lakefront.actor import SERVICE_REQUESTS_UPDATE, Actor
from lakefront.db.database import Transaction
from lakefront.db.tables.service_requests import service_requests as table
from lakefront.domain.cities import invalid, is_slug
from lakefront.domain.service_requests.changes import Doing, step, write
from lakefront.domain.service_requests.checks import check_record
from lakefront.domain.service_requests.filing import standing_of
from lakefront.domain.service_requests.request import (
    COLUMNS,
    Origin,
    Record,
    Recorded,
    RecordOutcome,
    RecordVerdict,
    ServiceRequest,
    State,
)
from lakefront.domain.service_requests.states import Cause, Word, after, late
from lakefront.domain.services import Services
from lakefront.errors import PayloadTooLarge, ValidationError

MOST: Final = 10_000
"""Rows of one batch."""

BREATH: Final = 100
"""Rows after which the event loop may serve others: some milliseconds."""

_STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        **dict.fromkeys(("open", "new", "draft", "unassigned", "reopened"), State.OPEN),
        **dict.fromkeys(("assigned", "started", "in progress", "pending", "email sent"), State.IN_PROGRESS),
        **dict.fromkeys(("closed", "completed", "resolved"), State.CLOSED),
        **dict.fromkeys(("cancelled", "canceled", "cancel", "duplicate", "rejected"), State.REJECTED),
    }
)
"""Publishers' words, in lower case."""

_COPIED: Final = (
    *("external_status", "agency", "agency_name", "complaint_type", "descriptor", "location_type", "address"),
    *("street_name", "postal_code", "borough", "community_board", "latitude", "longitude", "channel", "resolution"),
    *("resolution_at", "closed_at", "expected_at", "reported_at"),
)
"""Columns that are as they were published."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"

_HEARD: Final = """
UPDATE lakefront.service_requests r SET told_at = heard.told_at
FROM unnest($2::text[], $3::timestamptz[]) AS heard (request_id, told_at)
WHERE r.tenant_id = $1 AND r.request_id = heard.request_id
"""


async def record(
    services: Services, actor: Actor, records: Sequence[Record], *, dry_run: bool = False, trace_id: str | None = None
) -> Recorded:
    """Write the published ``records`` (at most MOST) in one transaction, and say what became of each.

    Repeating it changes nothing, and an older row never comes over a newer one: that which the publisher changed
    later, or, where he does not say, that with the later dates. On a dry run nothing is written. Needs the scope
    service_requests:update. Raises ``Forbidden``, ``Unavailable``, ``PayloadTooLarge``.
    """
    actor.require(SERVICE_REQUESTS_UPDATE)
    if len(records) > MOST:
        raise PayloadTooLarge(f"A batch has at most {MOST:,} rows. Send it in smaller parts.")
    batch = _Batch(Doing.of(actor, Cause.PUBLISHER, trace_id or tracing.new_trace_id()))
    async with services.database.transaction(actor.tenant) as transaction:
        # One batch of a tenant at a time: two of them could make the same request, or wait for each other.
        await transaction.execute(_LOCK, f"service_requests recorded:{actor.tenant}")
        await batch.read(transaction, actor.tenant, records)
        verdicts = []
        for index, each in enumerate(records):
            verdicts.append(batch.take(index, each))
            if index % BREATH == BREATH - 1:
                await asyncio.sleep(0)
        if not dry_run:
            await batch.write(transaction, actor.tenant)
    return Recorded(verdicts)


class _Batch:
    """The requests that a batch is about: as they were found, and as they are to be."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing
        self._found: dict[str, ServiceRequest] = {}
        self._now: dict[str, ServiceRequest] = {}

    async def read(self, transaction: Transaction, tenant: str, records: Iterable[Record]) -> None:
        """Lock those that are there; in one order, as others do."""
        ids = sorted({each.request_id for each in records if "\0" not in each.request_id})
        asked = select(*COLUMNS).where(table.c.tenant_id == tenant, table.c.request_id.in_(ids))
        rows = await transaction.fetch(asked.order_by(table.c.request_id).with_for_update(key_share=True))
        self._found = {row["request_id"]: ServiceRequest.of(row) for row in rows}
        self._now = dict(self._found)

    def take(self, index: int, given: Record) -> RecordVerdict:
        """Enter one row; what became of it."""
        request_id = given.request_id
        try:
            check_record(given)
            if not is_slug(given.city):
                raise invalid("city", "Give the city's slug: nyc.")
            outcome = self._enter(given)
        except ValidationError as wrong:
            field = str(wrong.details[0]["field"]) if wrong.details else None
            return RecordVerdict(index, request_id, RecordOutcome.REJECTED, field, wrong.message)
        return RecordVerdict(index, request_id, outcome)

    def _enter(self, given: Record) -> RecordOutcome:
        old = self._now.get(given.request_id)
        told_at = _told_at(given)
        if old is None:
            self._now[given.request_id] = _new(given, told_at, self._doing.trace_id)
            return RecordOutcome.CREATED
        if (old.source, old.city, old.provider) != (Origin.OPEN_DATA, given.city, given.provider):
            raise invalid("uniqueKey", "Another request has this number: one of another city, or filed here.")
        if late(standing_of(old), Word(_state(given), Cause.PUBLISHER, told_at)):
            return RecordOutcome.OLDER
        new = replace(old, **_values(old, given, told_at))
        self._now[given.request_id] = new
        return RecordOutcome.UNCHANGED if step(old, new, self._doing) is None else RecordOutcome.CHANGED

    async def write(self, transaction: Transaction, tenant: str) -> None:
        """Write what is new, each request once; of what is the same, that it was told again."""
        steps, heard = [], []
        for request_id, new in self._now.items():
            old = self._found.get(request_id)
            if (made := step(old, new, self._doing)) is not None:
                steps.append(made)
            elif old is not None and new.told_at != old.told_at:
                heard.append((request_id, new.told_at))
        await write(transaction, tenant, steps)
        if heard:
            ids, times = zip(*heard, strict=True)
            await transaction.execute(_HEARD, tenant, list(ids), list(times))


def _told_at(given: Record) -> datetime:
    """How new the row is."""
    times = (given.resolution_at, given.closed_at, given.reported_at)
    said = given.updated_at or max(at for at in times if at is not None)
    return min(said, datetime.now(UTC))  # a date that was mistyped must not make all later words late


def _state(given: Record) -> State:
    """What the publisher's word means; of one that nobody knows, what his dates mean."""
    known = _STATES.get((given.external_status or "").strip().lower())
    return known or (State.OPEN if given.closed_at is None else State.CLOSED)


def _new(given: Record, told_at: datetime, trace_id: str) -> ServiceRequest:
    state, now = _state(given), datetime.now(UTC)
    values: dict[str, Any] = {name: getattr(given, name) for name in _COPIED}
    return ServiceRequest(
        **values,
        request_id=given.request_id,
        city=given.city,
        provider=given.provider,
        source=Origin.OPEN_DATA,
        owner=None,
        state=state,
        state_at=_since(given, state, told_at),
        told_at=told_at,
        external_id=given.unique_key,
        filed_at=given.reported_at,
        updated_at=now,
        version=0,
        trace_id=trace_id,
    )


def _values(old: ServiceRequest, given: Record, told_at: datetime) -> dict[str, Any]:
    """What the row says by now: column to value."""
    reached = after(standing_of(old), Word(_state(given), Cause.PUBLISHER, told_at))
    values: dict[str, Any] = {name: getattr(given, name) for name in _COPIED}
    values |= {"state": reached.state, "told_at": told_at}
    return values | ({"state_at": _since(given, reached.state, told_at)} if reached.state is not old.state else {})


def _since(given: Record, state: State, told_at: datetime) -> datetime:
    return (state is State.CLOSED and given.closed_at) or given.resolution_at or told_at
