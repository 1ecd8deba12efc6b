"""A tenant's rules: the built-in ones, what it changed of them, and its own."""

from typing import Any, Final

import msgspec

from lakefront.actor import ALERTS_MANAGE, METRICS_READ, Actor
from lakefront.db.database import Transaction
from lakefront.domain import idempotency
from lakefront.domain.alerts.rules import BUILT_IN, MOST_RULES, Comparison, Metric, Rule, RuleInput, merged
from lakefront.domain.services import Services
from lakefront.errors import Conflict

_READ: Final = "SELECT * FROM lakefront.alert_rules WHERE tenant_id = $1 ORDER BY rule_id"

_PUT: Final = """
INSERT INTO lakefront.alert_rules (tenant_id, rule_id, metric, comparison, threshold, for_seconds, level, provider,
  enabled, version, updated_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (tenant_id, rule_id) DO UPDATE SET metric = EXCLUDED.metric, comparison = EXCLUDED.comparison,
  threshold = EXCLUDED.threshold, for_seconds = EXCLUDED.for_seconds, level = EXCLUDED.level,
  provider = EXCLUDED.provider, enabled = EXCLUDED.enabled, version = EXCLUDED.version,
  updated_by = EXCLUDED.updated_by, updated_at = now()
RETURNING *
"""


class Changed(msgspec.Struct, frozen=True):
    """A rule as it is now; ``changed``: whether that is new."""

    rule: Rule
    changed: bool


async def rules(services: Services, actor: Actor) -> list[Rule]:
    """The rules of the actor's tenant, built-in ones first. Needs the scope metrics:read."""
    actor.require(METRICS_READ)
    async with services.database.transaction(actor.tenant) as transaction:
        return await read(transaction, actor.tenant)


async def read(transaction: Transaction, tenant: str) -> list[Rule]:
    """The tenant's rules: a row goes before the built-in rule of its id."""
    found = dict(BUILT_IN)
    for row in await transaction.fetch(_READ, tenant):
        found[row["rule_id"]] = _rule(row)
    return list(found.values())


async def upsert(
    services: Services, actor: Actor, given: RuleInput, *, idempotency_key: str | None = None, dry_run: bool = False
) -> Changed:
    """Let the rule be as it is ``given``; it holds from the next look on. On a dry run, what would be.

    Needs the scope alerts:manage. Raises ``ValidationError``, ``Conflict`` past MOST_RULES, ``Forbidden``,
    ``IdempotencyConflict``, ``Unavailable``.
    """
    actor.require(ALERTS_MANAGE)

    async def run() -> Changed:
        await transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"alerts:{actor.tenant}")
        known = {rule.rule_id: rule for rule in await read(transaction, actor.tenant)}
        old = known.get(given.rule_id)
        new = merged(given, old)
        if new == old or dry_run:
            return Changed(new, new != old)
        if old is None and len(known) >= MOST_RULES:
            raise Conflict(f"This tenant has {MOST_RULES} rules of alerts, which is the most.")
        [row] = await transaction.fetch(
            _PUT,
            *(actor.tenant, new.rule_id, new.metric, new.comparison, new.threshold, new.for_seconds, new.level),
            *(new.provider, new.enabled, new.version + 1, actor.subject),
        )
        return Changed(_rule(row), changed=True)

    async with services.database.transaction(actor.tenant) as transaction:
        if dry_run:
            return await run()
        body = msgspec.json.encode(given)
        stored = await idempotency.once_within(transaction, actor, "upsertAlertRule", idempotency_key, body, run)
    return msgspec.convert(stored, Changed)


def _rule(row: Any) -> Rule:
    values = {name: row[name] for name in Rule.__slots__}
    return Rule(**{**values, "metric": Metric(row["metric"]), "comparison": Comparison(row["comparison"])})
