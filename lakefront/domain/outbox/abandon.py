"""A person decided about what a job is about: what is left of it is settled with that decision, in its transaction."""

from typing import Final

from lakefront.actor import Actor
from lakefront.db.database import Transaction
from lakefront.domain.outbox.enqueue import CHANNEL, LETTER

_ABANDON: Final = """
WITH ended AS (
  UPDATE lakefront.outbox SET state = 'DEAD', due_at = NULL, in_doubt_since = NULL, updated_at = now()
  WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND state IN ('DEAD', 'UNCERTAIN') RETURNING job_id),
decided AS (
  UPDATE lakefront.dead_letters SET state = 'DISCARDED', decided_at = now(), decided_by = $4, on_behalf_of = $5
  WHERE tenant_id = $1 AND state = 'WAITING' AND job_id IN (SELECT job_id FROM ended) RETURNING 1)
SELECT pg_notify($6, $7) FROM decided LIMIT 1
"""


async def abandon(transaction: Transaction, actor: Actor, kind: str, key: str) -> None:
    """Try the dead and the uncertain jobs of ``key`` no more, and discard their letters; jobs behind them go on.

    For use-cases that settle the matter by themselves, and have checked the actor's rights; jobs that are due or under
    way stay: their handler sees what was decided.
    """
    which = (actor.tenant, kind, key, actor.subject, actor.on_behalf_of)
    await transaction.execute(_ABANDON, *which, CHANNEL, LETTER)
