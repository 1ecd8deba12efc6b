"""From events to notices: the log is read by a committed offset, and what rules tell goes into the outbox with it.

The rows of ``notices``, their jobs, and the offset are one transaction; the ids of both follow from rule and event. So
an event makes one notice of each rule that holds, whatever is killed or read again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from lakefront.db.database import Transaction
from lakefront.domain.notices import streams
from lakefront.domain.notices.masking import masked
from lakefront.domain.notices.rule import PROVIDERS, NoticeRule, read
from lakefront.domain.notices.streams import STREAMS
from lakefront.domain.outbox import NewJob, enqueue_all
from lakefront.eventlog.projections.runner import Projection

KIND: Final = "notice.send"
"""The outbox's kind of job that sends a notice."""

CONSUMER: Final = "notices"

BEYOND: Final = "The rule has made as many notices as it may in a day."
"""Why a notice is skipped that is one too many."""

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "lakefront:notices")

_PUT: Final = """
INSERT INTO lakefront.notices (
  tenant_id, notice_id, rule_id, rule_name, channel, recipient, webhook_id, stream, shard, "offset", event_id,
  event_type, about, state, reason, trace_id, ended_at)
SELECT tenant_id, notice_id, rule_id, rule_name, channel, recipient, webhook_id, stream, shard, "offset", event_id,
  event_type, about, state, reason, trace_id, CASE WHEN state = 'SKIPPED' THEN now() END
FROM jsonb_populate_recordset(NULL::lakefront.notices, $1)
ON CONFLICT DO NOTHING RETURNING notice_id, state
"""

_TODAY: Final = """
SELECT count(*) FROM (SELECT FROM lakefront.notices
  WHERE tenant_id = $1 AND rule_id = $2 AND created_at >= now() - interval '1 day' AND state <> 'SKIPPED' LIMIT $3) made
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
        for rule, its in (await _matching(stream, rules, events) if rules else {}).items():
            await _plan(transaction, tenant, rules[rule], its)

    async def begin(transaction: Transaction, tenant: str, shard: int) -> int:
        [(first,)] = await transaction.fetch(_BEGIN, tenant, stream, shard)
        return int(first)

    return Projection(CONSUMER, stream, project, _keep, begin)


async def _matching(
    stream: str, rules: list[NoticeRule], events: Iterable[Mapping[str, Any]]
) -> dict[int, list[Mapping[str, Any]]]:
    """Which rule (its place) tells of which events."""
    tests, found = [rule.test() for rule in rules], defaultdict[int, list[Mapping[str, Any]]](list)
    for event in events:
        told = streams.told(
            STREAMS[stream],
            *(event["partition_key"], event["event_id"], event["event_type"], event["occurred_at"], event["payload"]),
        )
        for place, holds in enumerate(tests):
            if holds(event["shard"], event["offset"], told):
                found[place].append(event)
        await asyncio.sleep(0)  # hundreds of rules may take milliseconds an event: others have their turn
    return found


async def _plan(transaction: Transaction, tenant: str, rule: NoticeRule, events: list[Mapping[str, Any]]) -> None:
    """Write what ``rule`` tells of ``events``, and have it sent; past its limit of a day it is skipped."""
    [(before,)] = await transaction.fetch(_TODAY, tenant, rule.rule_id, rule.most_daily)
    ids = {notice_id(tenant, rule, event["event_id"]).hex: event for event in events}
    rows = [
        _row(tenant, rule, id_, event, beyond=place >= rule.most_daily)
        for place, (id_, event) in enumerate(ids.items(), start=before)
    ]
    put = await transaction.fetch(_PUT, orjson.dumps(rows))
    jobs = [_job(rule, id_, ids[id_]["trace_id"]) for id_, state in put if state == "QUEUED"]
    await enqueue_all(transaction, tenant, jobs)


def _row(tenant: str, rule: NoticeRule, id_: str, event: Mapping[str, Any], *, beyond: bool) -> dict[str, Any]:
    return {
        "tenant_id": tenant,
        "notice_id": id_,
        "rule_id": rule.rule_id,
        "rule_name": rule.name,
        "channel": rule.channel,
        "recipient": None if rule.address is None else masked(rule.address),
        "webhook_id": rule.webhook_id,
        "stream": rule.stream,
        "shard": event["shard"],
        "offset": event["offset"],
        "event_id": event["event_id"],
        "event_type": event["event_type"],
        "about": event["partition_key"],
        "state": "SKIPPED" if beyond else "QUEUED",
        "reason": BEYOND if beyond else None,
        "trace_id": event["trace_id"],
    }


def _job(rule: NoticeRule, id_: str, trace_id: str) -> NewJob:
    return NewJob(
        kind=KIND,
        key=id_,
        provider=PROVIDERS[rule.channel],
        city=rule.webhook_id or "",
        payload={"notice": id_},
        trace_id=trace_id,
        job_id=UUID(hex=id_),
    )


async def _keep(transaction: Transaction, tenant: str) -> None:
    """Nothing is emptied: what was sent was sent."""
