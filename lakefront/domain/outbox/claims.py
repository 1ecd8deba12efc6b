"""A job's row decides whose it is: it is claimed, kept, and given back here, tenant by tenant."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from lakefront.adapters.calls.redaction import excerpt
from lakefront.db.database import Database, Transaction
from lakefront.domain.outbox.enqueue import CHANNEL, LETTER
from lakefront.domain.outbox.jobs import Job, LeaseLost
from lakefront.domain.outbox.outcome import Again, Dead, Outcome, Trying, Uncertain
from lakefront.domain.outbox.pace import Pace
from lakefront.errors import LakefrontError

MACHINE: Final = "lakefront"
"""Who decided about a letter that was replayed by itself."""

LONGEST_MESSAGE: Final = 1000
"""Characters of an error that are kept."""

_BEFORE: Final = """
SELECT FROM lakefront.outbox b WHERE b.tenant_id = o.tenant_id AND b.key = o.key AND b.number < o.number
  AND (b.due_at IS NOT NULL OR b.state = 'UNCERTAIN')
"""
"""The jobs of the same key that have to be done with before."""

_DUE: Final = f"""
WITH RECURSIVE lines AS (
  (SELECT tenant_id, provider, city FROM lakefront.outbox WHERE due_at IS NOT NULL ORDER BY 1, 2, 3 LIMIT 1)
  UNION ALL
  SELECT n.* FROM lines l CROSS JOIN LATERAL (
    SELECT tenant_id, provider, city FROM lakefront.outbox
    WHERE due_at IS NOT NULL AND (tenant_id, provider, city) > (l.tenant_id, l.provider, l.city)
    ORDER BY 1, 2, 3 LIMIT 1) n
)
SELECT coalesce(json_agg(json_build_array(d.tenant_id, d.job_id, d.attempts, d.provider, d.city) ORDER BY d.due_at),
  '[]')
FROM lines l CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT o.tenant_id, o.job_id, o.attempts, o.provider, o.city, o.due_at FROM lakefront.outbox o
    WHERE o.tenant_id = l.tenant_id AND o.provider = l.provider AND o.city = l.city AND o.due_at <= now()
      AND o.kind = ANY($1) AND NOT EXISTS ({_BEFORE})
    ORDER BY o.due_at LIMIT $2) each_of) d
WHERE NOT l.tenant_id || '|' || l.provider || '|' || l.city = ANY($3)
"""  # noqa: S608 - constants
# From line to line by the index, so that a long one does not hide the others.

_CLAIM: Final = f"""
WITH picked AS (
  SELECT o.job_id, o.state, o.in_doubt_since FROM lakefront.outbox o
  WHERE o.tenant_id = $1 AND o.job_id = $2 AND o.due_at <= now() AND o.kind = ANY($3) AND NOT EXISTS ({_BEFORE})
  FOR UPDATE SKIP LOCKED)
UPDATE lakefront.outbox o SET state = 'RUNNING', attempts = o.attempts + 1, updated_at = now(),
  due_at = now() + make_interval(secs => $4), in_doubt_since = coalesce(o.in_doubt_since, now()),
  trying_since = CASE picked.state WHEN 'DEAD' THEN NULL ELSE o.trying_since END,
  replays = o.replays + (picked.state = 'DEAD')::int,
  round_at = CASE picked.state WHEN 'DEAD' THEN now() ELSE o.round_at END
FROM picked WHERE o.tenant_id = $1 AND o.job_id = picked.job_id
RETURNING o.kind, o.key, o.provider, o.city, o.payload, o.attempts, o.trace_id, o.in_doubt_since,
  picked.state AS was, picked.in_doubt_since IS NOT NULL AS doubted, o.replays,
  coalesce(extract(epoch FROM now() - o.trying_since), 0)::float8 AS failing,
  extract(epoch FROM now() - o.round_at)::float8 AS waiting
"""  # noqa: S608 - constants

_REPLAYED: Final = """
UPDATE lakefront.dead_letters SET state = 'REPLAYED', decided_at = now(), decided_by = $3
WHERE tenant_id = $1 AND job_id = $2 AND state = 'WAITING'
"""

_RENEW: Final = """
UPDATE lakefront.outbox SET due_at = now() + make_interval(secs => $4)
WHERE tenant_id = $1 AND job_id = $2 AND state = 'RUNNING' AND attempts = $3 RETURNING 1
"""

_SETTLE: Final = """
UPDATE lakefront.outbox SET state = $4, due_at = now() + make_interval(secs => $5),
  in_doubt_since = CASE WHEN $6 THEN in_doubt_since END,
  trying_since = CASE WHEN $7 THEN coalesce(trying_since, now()) ELSE trying_since END,
  error_code = $8, error_message = $9, updated_at = now()
WHERE tenant_id = $1 AND job_id = $2 AND state = 'RUNNING' AND attempts = $3 RETURNING due_at
"""

_BURY: Final = """
INSERT INTO lakefront.dead_letters (tenant_id, letter_id, job_id, kind, key, provider, city, uncertain, error_code,
  error_message, attempts, trace_id, excerpt, replay_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""


class Due(msgspec.Struct, frozen=True, array_like=True):
    """A job that may be claimed, as it is told in the stream: no more of it than ids and numbers."""

    tenant: str
    job_id: UUID
    attempts: int
    provider: str
    city: str

    @property
    def line(self) -> str:
        """The integration that it is for."""
        return f"{self.tenant}|{self.provider}|{self.city}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is this worker's, while its lease is renewed; as it was when it was claimed."""

    job: Job
    was: Trying
    at: float = field(default_factory=time.monotonic)

    def trying(self) -> Trying:
        """How it stands now."""
        spent, was = time.monotonic() - self.at, self.was
        failing = was.failing + spent if was.failing else 0.0
        return Trying(was.looking_up, was.attempt, failing, was.waiting + spent, was.replays)


async def due(provisioner: Database, kinds: Collection[str], *, most: int, but: Sequence[str] = ()) -> list[Due]:
    """Jobs of all tenants that may be claimed, those due first before others, ``most`` of each integration.

    ``but`` those of these lines. Asked under the role that sees ids and times of all. Raises ``Unavailable``.
    """
    return msgspec.json.decode(await provisioner.text(_DUE, list(kinds), most, list(but)), type=list[Due])


async def claim(database: Database, found: Due, kinds: Collection[str], pace: Pace) -> Claim | None:
    """Take the job; None where it is not due any more, or another worker takes it. Raises ``Unavailable``.

    From here on it is in doubt until it is told otherwise: were the worker killed now, it would be looked up.
    """
    key = (found.tenant, found.job_id)
    async with database.transaction(found.tenant) as transaction:
        rows = await transaction.fetch(_CLAIM, *key, list(kinds), pace.lease + pace.look_up_after)
        if not rows:
            return None
        if rows[0]["was"] == "DEAD":
            await transaction.execute(_REPLAYED, *key, MACHINE)
            await transaction.execute("SELECT pg_notify($1, $2)", CHANNEL, LETTER)
    return _claimed(found, rows[0])


async def renew(database: Database, job: Job, pace: Pace) -> bool:
    """Keep the job for as long again; False: another worker has it. Raises ``Unavailable``."""
    async with database.transaction(job.tenant) as transaction:
        key = (job.tenant, job.job_id, job.attempt)
        return bool(await transaction.fetch(_RENEW, *key, pace.lease + pace.look_up_after))


async def settle(transaction: Transaction, job: Job, outcome: Outcome, error: LakefrontError) -> None:
    """Give the job back as ``outcome`` says, with a dead letter where it is one. Raises ``LeaseLost``."""
    written: tuple[str, float | None, bool, bool]  # state, seconds until it is due, in doubt, failed
    match outcome:
        case Again(wait, in_doubt, failed):
            written = ("QUEUED", wait, in_doubt, failed)
        case Dead(replay):
            written = ("DEAD", replay, False, False)
        case _:
            written = ("UNCERTAIN", None, True, False)
    key = (job.tenant, job.job_id, job.attempt)
    rows = await transaction.fetch(_SETTLE, *key, *written, *_told(error))
    if not rows:
        raise LeaseLost
    if not isinstance(outcome, Again):
        uncertain, replay_at = isinstance(outcome, Uncertain), rows[0]["due_at"]
        await _bury(transaction, job, error, uncertain=uncertain, replay_at=replay_at)


async def _bury(
    transaction: Transaction, job: Job, error: LakefrontError, *, uncertain: bool, replay_at: datetime | None
) -> None:
    what = (job.tenant, uuid4(), job.job_id, job.kind, job.key, job.provider, job.city)
    why = (uncertain, *_told(error), job.attempt, job.trace_id, excerpt(dict(job.payload)), replay_at)
    await transaction.execute(_BURY, *what, *why)
    await transaction.execute("SELECT pg_notify($1, $2)", CHANNEL, LETTER)


def _told(error: LakefrontError) -> tuple[str, str]:
    """Code and message, as PostgreSQL takes them."""
    return error.code, error.message.replace("\0", "")[:LONGEST_MESSAGE]


def _claimed(found: Due, row: Any) -> Claim:
    job = Job(
        *(found.tenant, found.job_id, row["kind"], row["key"], row["provider"], row["city"], row["payload"]),
        *(row["attempts"], row["trace_id"], row["in_doubt_since"]),
    )
    return Claim(
        job,
        Trying(row["doubted"], row["attempts"], row["failing"], row["waiting"], row["replays"]),
    )
