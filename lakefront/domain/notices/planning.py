"""From events to notices: the log is read by a committed offset, and what rules tell goes into the outbox with it.

The rows of ``notices``, their jobs, and the offset are one transaction; the ids of both follow from rule and event. So
an event makes one notice of each rule that holds, whatever is killed or read again.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from lakefront.db.database import Transaction
from lakefront.domain.notices import streams
from lakefront.domain.notices.masking import masked
from lakefront.domain.notices.rule import PROVIDERS, NoticeRule, read
from lakefront.domain.notices.streams import STREAMS
from lakefront.domain.outbox import NewJob, enqueue
from lakefront.eventlog.projections.runner import Projection

KIND: Final = "notice.send"
"""The outbox's kind of job that sends a notice."""

CONSUMER: Final = "notices"

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "lakefront:notices")

_PUT: Final = """
INSERT INTO lakefront.notices (
  tenant_id, notice_id, rule_id, rule_name, channel, recipient, webhook_id, stream, shard, "offset", event_id,
  event_type, about, state, trace_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'QUEUED', $14) ON CONFLICT DO NOTHING RETURNING 1
"""

_BEGIN: Final = """
SELECT coalesce(
  (SELECT min(coalesce((since ->> $3::int::text)::bigint, 0)) FROM lakefront.notice_rules
   WHERE tenant_id = $1 AND stream = $2 AND enabled),
  (SELECT next FROM lakefront.heads WHERE tenant_id = $1 AND stream = $2 AND shard = $3), 0)
"""


def notice_id(tenant: str, rule: NoticeRule, event_id: str) -> UUID:
    """The id of what ``rule`` tells of an event: always the same."""
    parts = (tenant, rule.stream, rule.rule_id, rule.recipient_kind, rule.webhook_id or "", event_id)
    return uuid5(_NAMESPACE, "\0".join(f"{len(part)}:{part}" for part in parts))


def projection(stream: str) -> Projection:
    """What reads ``stream`` for the rules about it."""

    async def project(transaction: Transaction, tenant: str, events: Iterable[Mapping[str, Any]]) -> None:
        rules = await read(transaction, tenant, stream=stream)
        if not rules:
            return
        for event in events:
            told = streams.told(STREAMS[stream], **{name: event[row] for name, row in _TOLD.items()})
            for rule in rules:
                if rule.holds(event["shard"], event["offset"], told):
                    await _plan(transaction, tenant, rule, event)

    async def begin(transaction: Transaction, tenant: str, shard: int) -> int:
        [(first,)] = await transaction.fetch(_BEGIN, tenant, stream, shard)
        return int(first)

    return Projection(CONSUMER, stream, project, _keep, begin)


_TOLD: Final = {
    "about": "partition_key",
    "event_id": "event_id",
    "event_type": "event_type",
    "occurred_at": "occurred_at",
    "payload": "payload",
}


async def _plan(transaction: Transaction, tenant: str, rule: NoticeRule, event: Mapping[str, Any]) -> None:
    id_ = notice_id(tenant, rule, event["event_id"])
    recipient = None if rule.address is None else masked(rule.address)
    made = await transaction.fetch(
        _PUT,
        *(tenant, id_.hex, rule.rule_id, rule.name, rule.channel, recipient, rule.webhook_id, rule.stream),
        *(event["shard"], event["offset"], event["event_id"], event["event_type"], event["partition_key"]),
        event["trace_id"],
    )
    if made:
        job = NewJob(
            kind=KIND,
            key=id_.hex,
            provider=PROVIDERS[rule.channel],
            city=rule.webhook_id or "",
            payload={"notice": id_.hex},
            trace_id=event["trace_id"],
            job_id=id_,
        )
        await enqueue(transaction, tenant, job)


async def _keep(transaction: Transaction, tenant: str) -> None:
    """Nothing is emptied: what was sent was sent."""
