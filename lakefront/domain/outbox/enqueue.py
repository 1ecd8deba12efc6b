"""The two ends of a job, each in a transaction of the domain that it is about (C2)."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4

import orjson

from lakefront.db.database import Transaction
from lakefront.domain.outbox.jobs import Job, NewJob

CHANNEL: Final = "lakefront_outbox"
"""NOTIFY channel: a job is due, or, with the payload LETTER, a dead letter came or went."""

LETTER: Final = "letter"

_PUT: Final = """
WITH put AS (
  INSERT INTO lakefront.outbox (tenant_id, job_id, kind, key, provider, city, payload, trace_id, due_at,
    round_at)
  SELECT $1, job_id, kind, key, provider, city, payload::jsonb, trace_id, coalesce(due_at, now()),
    coalesce(due_at, now())
  FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[])
    WITH ORDINALITY AS new (job_id, kind, key, provider, city, payload, trace_id, due_at, place) ORDER BY place
  ON CONFLICT DO NOTHING RETURNING 1)
SELECT pg_notify($10, '') FROM put LIMIT 1
"""

_DONE: Final = """
UPDATE lakefront.outbox SET state = 'DONE', due_at = NULL, in_doubt_since = NULL, trying_since = NULL,
  error_code = NULL, error_message = NULL, updated_at = now()
WHERE tenant_id = $1 AND job_id = $2 AND state = 'RUNNING' AND attempts = $3 RETURNING 1
"""


async def enqueue(transaction: Transaction, tenant: str, job: NewJob) -> UUID:
    """Put ``job`` into the outbox, in the transaction that writes the row it is about (C2); its id.

    Workers hear of it as soon as that commits. A job whose ``job_id`` is there already, done or not, stays as it is.
    """
    [job_id] = await enqueue_all(transaction, tenant, [job])
    return job_id


async def enqueue_all(transaction: Transaction, tenant: str, jobs: Sequence[NewJob]) -> list[UUID]:
    """``enqueue`` of many, in one statement and in their order; their ids."""
    ids = [job.job_id or uuid4() for job in jobs]
    if jobs:
        columns = ([getattr(job, name) for job in jobs] for name in ("kind", "key", "provider", "city"))
        payloads = [orjson.dumps(job.payload).decode() for job in jobs]
        times = [job.due_at for job in jobs]
        traces = [job.trace_id for job in jobs]
        await transaction.execute(_PUT, tenant, ids, *columns, payloads, traces, times, CHANNEL)
    return ids


async def finish(transaction: Transaction, job: Job) -> bool:
    """Say that ``job`` is done, in the transaction that writes what came of it.

    False: another worker has it by now. Roll back (raise ``LeaseLost``); ``record`` does it by itself.
    """
    return bool(await transaction.fetch(_DONE, job.tenant, job.job_id, job.attempt))
