"""Take permit events in (P1, P5, P6, X6): check each, append the valid ones, and say what became of every one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Final

import msgspec

from lakefront import tracing
from lakefront.actor import PERMITS_WRITE, Actor
from lakefront.domain.idempotency import once, result_of
from lakefront.domain.permits.payloads import Rejected, latest_timestamp, parse
from lakefront.domain.services import Services
from lakefront.domain.tally import Counts
from lakefront.errors import PayloadTooLarge, RateLimited, ValidationError
from lakefront.eventlog.events import Appended, NewEvent, Outcome
from lakefront.eventlog.projections.permits import STREAM

CHUNK = 5000
"""Events that are parsed and appended at a time: a 25 MB body of 100,000 events never stands in memory as objects."""

MOST_EVENTS: Final = 250_000
"""Events of one request: 25 MB hold no more that are valid."""

_BREATH: Final = 32 * 1024
_LEAST: Final = 500
"""Bytes that are parsed before the event loop may serve others, and what an event counts for at least: milliseconds."""

MOST_DETAILS = 1000
"""Rejected events that an error lists."""


class Verdict(msgspec.Struct, frozen=True, gc=False, rename={"event_id": "eventId", "outcome": "verdict"}):
    """What became of the event at ``index`` of the request; encoded as every door names it."""

    index: int
    event_id: str | None
    outcome: Outcome
    field: str | None = None
    reason: str | None = None


class IngestReport(msgspec.Struct):
    """What became of a request; ``verdicts`` lists whatever was not plainly accepted."""

    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    verdicts: list[Verdict] = []

    def accept(self, events: int) -> None:
        """Enter ``events`` that were plainly accepted."""
        self.received += events
        self.accepted += events

    def count(self, verdict: Verdict) -> None:
        """Enter the verdict on an event that was not accepted; a conflict counts as rejected."""
        self.received += 1
        match verdict.outcome:
            case Outcome.DUPLICATE:
                self.duplicates += 1
            case _:
                self.rejected += 1
        self.verdicts.append(verdict)

    def details(self) -> list[dict[str, object]]:
        """The verdicts of the first MOST_DETAILS rejected events as an error's details."""
        refused = (verdict for verdict in self.verdicts if verdict.outcome in (Outcome.REJECTED, Outcome.CONFLICT))
        told: list[dict[str, object]] = [
            {
                "index": verdict.index,
                "eventId": verdict.event_id,
                "verdict": verdict.outcome.value,
                "field": _path(verdict),
                "message": verdict.reason,
            }
            for verdict in islice(refused, MOST_DETAILS)
        ]
        if more := self.rejected - len(told):
            told.append({"field": None, "message": f"{more:,} more events were rejected; correct these first."})
        return told


def _path(verdict: Verdict) -> str:
    return f"[{verdict.index}].{verdict.field}" if verdict.field else f"[{verdict.index}]"


async def ingest(
    services: Services,
    actor: Actor,
    events: Sequence[bytes | msgspec.Raw],
    *,
    atomic: bool = False,
    dry_run: bool = False,
    idempotency_key: str | None = None,
    trace_id: str | None = None,
) -> IngestReport:
    """Append ``events`` (JSON texts) to the permits' stream and report on each, in their order.

    Valid events are kept even where others are not; with ``atomic`` one invalid or conflicting event keeps all of them
    out. With ``dry_run`` nothing is written. Raises ``ValidationError`` when no event (``atomic``: not every event) is
    valid, ``PayloadTooLarge``, ``RateLimited`` past the stream's or the tenant's quota, ``Forbidden``, ``Unavailable``.
    """
    actor.require(PERMITS_WRITE)
    actor.require_stream(STREAM)
    counted = nullcontext(Counts()) if dry_run else services.meters.tally.request(actor.tenant, STREAM)
    trace_id = trace_id or tracing.new_trace_id()
    with tracing.span("lakefront.ingest", trace_id, stream=STREAM, events=len(events)) as span, counted as counts:
        _check_number(events)

        async def run() -> IngestReport:
            return await _ingest(services, actor, events, counts, atomic=atomic, dry_run=dry_run, trace_id=trace_id)

        if dry_run:
            report = await run()
        elif idempotency_key is None:
            report = await _admitted(services, actor, len(events), counts, run)
        else:
            report = await _once(services, actor, events, counts, idempotency_key, run)
        span.note(accepted=report.accepted, duplicates=report.duplicates, rejected=report.rejected)
        return report


def _check_number(events: Sequence[bytes | msgspec.Raw]) -> None:
    if not events:
        raise ValidationError("No event was sent. Send a JSON array with at least one event.")
    if len(events) > MOST_EVENTS:
        raise PayloadTooLarge(f"The request has over {MOST_EVENTS:,} events. Split it into smaller requests.")


async def _admitted(
    services: Services, actor: Actor, events: int, counts: Counts, run: Callable[[], Awaitable[IngestReport]]
) -> IngestReport:
    """``run`` within the tenant's quotas (T5); ``counts`` has what it took in, also where it fails half-way."""
    admitted = await services.allowances.admit(services, actor, events)
    try:
        return await run()
    finally:
        admitted.settle(counts.accepted)


async def _once(
    services: Services,
    actor: Actor,
    events: Sequence[bytes | msgspec.Raw],
    counts: Counts,
    idempotency_key: str,
    run: Callable[[], Awaitable[IngestReport]],
) -> IngestReport:
    body = blake2b(digest_size=32)
    for event in events:
        body.update(len(memoryview(event)).to_bytes(8, "big"))
        body.update(event)
    which = (services.database, actor, "ingestPermitEvents", idempotency_key, body.digest())

    async def run_once() -> IngestReport:
        return msgspec.convert(await once(*which, run), IngestReport)

    # Admitted before the key is reserved: nobody may wait for a reading while they hold a connection.
    try:
        return await _admitted(services, actor, len(events), counts, run_once)
    except RateLimited:
        if (stored := await result_of(*which)) is None:
            raise
        return msgspec.convert(stored, IngestReport)  # past the quota, too, what was taken in is told again


async def _ingest(
    services: Services,
    actor: Actor,
    events: Sequence[bytes | msgspec.Raw],
    counts: Counts,
    *,
    atomic: bool,
    dry_run: bool,
    trace_id: str,
) -> IngestReport:
    settings = services.settings
    if not dry_run:
        rate = settings.events_per_second * settings.stream(STREAM).shards
        await services.quotas.take(f"{actor.tenant}:{STREAM}", len(events), rate=rate)
    batch = _Batch(services, actor, trace_id, latest_timestamp(settings.max_future), dry_run=dry_run)
    report = batch.report
    try:
        if atomic:
            await batch.take_all_or_none(events)
        else:
            for start in range(0, len(events), CHUNK):
                await batch.take(events[start : start + CHUNK], start)
    finally:
        counts.accepted, counts.duplicates, counts.rejected = report.accepted, report.duplicates, report.rejected
    if not report.accepted and not report.duplicates and not batch.conflicts:
        raise ValidationError(
            "No event was valid. See details for the event, the field and the reason.", details=report.details()
        )
    return report


class _Batch:
    """One request on its way into the log."""

    def __init__(self, services: Services, actor: Actor, trace_id: str, latest: datetime, *, dry_run: bool) -> None:
        self.report = IngestReport()
        self.conflicts = 0
        self._services = services
        self._actor = actor
        self._trace_id = trace_id
        self._latest = latest
        self._dry_run = dry_run

    async def take(self, texts: Sequence[bytes | msgspec.Raw], start: int) -> None:
        """Append the valid ones of ``texts``, whose first has the index ``start``, and enter all verdicts."""
        parsed = await self._parse(texts, start)
        await self._append(parsed, start, atomic=False)

    async def take_all_or_none(self, texts: Sequence[bytes | msgspec.Raw]) -> None:
        """Append all of ``texts`` in one transaction; raises ``ValidationError`` when one keeps the rest out."""
        parsed = await self._parse(texts, 0)
        invalid = [event for event in parsed if isinstance(event, Verdict)]
        if invalid:
            self._enter(invalid)
        else:
            await self._append(parsed, 0, atomic=True)
        if self.report.rejected:
            raise ValidationError(
                "Nothing was taken in: with atomic every event must be valid and free of conflict. See details.",
                details=self.report.details(),
            )

    async def _parse(self, texts: Sequence[bytes | msgspec.Raw], start: int) -> list[NewEvent | Verdict]:
        parsed: list[NewEvent | Verdict] = []
        breath = 0
        for index, text in enumerate(texts, start):
            try:
                parsed.append(parse(text, trace_id=self._trace_id, latest=self._latest))
            except Rejected as wrong:
                parsed.append(Verdict(index, wrong.event_id, Outcome.REJECTED, wrong.field, wrong.message))
            breath += max(_LEAST, len(memoryview(text)))
            if breath > _BREATH:
                breath = 0
                await asyncio.sleep(0)
        return parsed

    async def _append(self, parsed: Sequence[NewEvent | Verdict], start: int, *, atomic: bool) -> None:
        log = self._services.log
        valid = [event for event in parsed if isinstance(event, NewEvent)]
        write = log.preview if self._dry_run else partial(log.append, atomic=atomic)
        appended = iter(await write(self._actor, STREAM, valid)) if valid else iter(())
        answers = [event if isinstance(event, Verdict) else next(appended) for event in parsed]
        self.report.accept(sum(answer.outcome is Outcome.ACCEPTED for answer in answers))
        self._enter(
            answer if isinstance(answer, Verdict) else _verdict(index, parsed[index - start].event_id, answer)
            for index, answer in enumerate(answers, start)
            if answer.outcome is not Outcome.ACCEPTED
        )

    def _enter(self, verdicts: Iterable[Verdict]) -> None:
        for verdict in verdicts:
            self.report.count(verdict)
            self.conflicts += verdict.outcome is Outcome.CONFLICT


def _verdict(index: int, event_id: str | None, appended: Appended) -> Verdict:
    return Verdict(index, event_id, appended.outcome, *_REASONS[appended.outcome])


_REASONS: Final[dict[Outcome, tuple[str | None, str | None]]] = {
    Outcome.DUPLICATE: (None, "This event is in the log already."),
    Outcome.CONFLICT: (
        "eventId",
        "Another event has this id. A changed event is a new event: give it its own id.",
    ),
    Outcome.REJECTED: (None, "Kept out, since another event of this atomic request is in conflict."),
}
