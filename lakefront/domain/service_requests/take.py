"""Published requests as JSON texts (C5): one that cannot be read must not spoil its neighbours (X6)."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from lakefront.actor import SERVICE_REQUESTS_UPDATE, Actor
from lakefront.domain.service_requests.record import MOST, record
from lakefront.domain.service_requests.request import Record, Recorded, RecordOutcome, RecordVerdict
from lakefront.domain.services import Services
from lakefront.errors import PayloadTooLarge

_RECORD = msgspec.json.Decoder(Record)


async def take(
    services: Services,
    actor: Actor,
    texts: Sequence[msgspec.Raw],
    *,
    dry_run: bool = False,
    trace_id: str | None = None,
) -> Recorded:
    """As ``record``, of ``texts``, each a ``Record`` as JSON: those that are none are rejected, the others recorded."""
    actor.require(SERVICE_REQUESTS_UPDATE)
    if len(texts) > MOST:
        raise PayloadTooLarge(f"A batch has at most {MOST:,} rows. Send it in smaller parts.")
    verdicts: list[RecordVerdict | None] = []
    records = []
    for index, text in enumerate(texts):
        try:
            records.append(_RECORD.decode(text))
            verdicts.append(None)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as wrong:
            reason, _, field = str(wrong).partition(" - at `$.")
            told = field.rstrip("`") or None
            verdicts.append(RecordVerdict(index, "", RecordOutcome.REJECTED, told, reason))
    recorded = await record(services, actor, records, dry_run=dry_run, trace_id=trace_id)
    found = iter(recorded.verdicts)
    return Recorded([verdict or replace(next(found), index=index) for index, verdict in enumerate(verdicts)])
