"""A tenant's notice rules, managed by those who may: made, changed, removed; shown by an example (C8)."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import orjson
from msgspec import to_builtins

from lakefront.actor import NOTICES_MANAGE, Actor
from lakefront.db.database import Transaction
from lakefront.domain.integrations import Parts
from lakefront.domain.notices import streams, templates, webhook
from lakefront.domain.notices.changing import change, no_rule, no_webhook
from lakefront.domain.notices.readers import CHANNEL
from lakefront.domain.notices.rule import NoticeRule, RuleInput, checked, read, read_one, stream_of
from lakefront.errors import Conflict, Forbidden

MOST: Final = 200
"""Rules of one tenant."""

_PUT: Final = """
INSERT INTO lakefront.notice_rules (
  tenant_id, rule_id, name, stream, event_types, conditions, channel, recipient_kind, address, webhook_id, subject,
  text, most_daily, enabled, since, version, updated_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (tenant_id, rule_id) DO UPDATE SET name = EXCLUDED.name, stream = EXCLUDED.stream,
  event_types = EXCLUDED.event_types, conditions = EXCLUDED.conditions, channel = EXCLUDED.channel,
  recipient_kind = EXCLUDED.recipient_kind, address = EXCLUDED.address, webhook_id = EXCLUDED.webhook_id,
  subject = EXCLUDED.subject, text = EXCLUDED.text, most_daily = EXCLUDED.most_daily,
  enabled = EXCLUDED.enabled, since = EXCLUDED.since,
  version = EXCLUDED.version, updated_by = EXCLUDED.updated_by, updated_at = now()
RETURNING created_at, updated_at
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Example:
    """What would be sent of a made-up event: ``data`` to a webhook."""

    subject: str | None
    text: str | None
    data: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule as it is now. ``created``: it was not there; ``changed``: something of it is new."""

    rule: NoticeRule
    created: bool
    changed: bool


async def rules(parts: Parts, actor: Actor) -> list[NoticeRule]:
    """The rules of the actor's tenant, by name. Needs the scope notices:manage."""
    actor.require(NOTICES_MANAGE)
    async with parts.database.transaction(actor.tenant) as transaction:
        return await read(transaction, actor.tenant)


async def upsert(
    parts: Parts, actor: Actor, given: RuleInput, *, idempotency_key: str | None = None, dry_run: bool = False
) -> RuleChange:
    """Let the rule be as it is ``given``. It holds for what the log takes in from now on: history is not told.

    Needs the scope notices:manage and the one that opens what the rule tells of. Raises ``ValidationError``,
    ``NotFound`` for a ``rule_id`` or a ``webhook_id`` that is not there, ``Conflict`` past MOST, ``Forbidden``,
    ``IdempotencyConflict``, ``Unavailable``.
    """
    actor.require(NOTICES_MANAGE)
    _may_tell(actor, stream_of(given.stream).scope)
    wanted, new_id = checked(given), uuid4().hex

    async def step(transaction: Transaction) -> RuleChange:
        old = None
        if wanted.rule_id is not None:
            old = await read_one(transaction, actor.tenant, wanted.rule_id, lock=True)
            if old is None:
                raise no_rule()
        elif len(await read(transaction, actor.tenant)) >= MOST:
            raise Conflict(f"This tenant has {MOST} notice rules, which is the most. Remove one: removeNoticeRule.")
        if wanted.webhook_id is not None and not await webhook.read_one(transaction, actor.tenant, wanted.webhook_id):
            raise no_webhook()
        return await _write(transaction, actor, wanted, old, new_id)

    return await change(
        *(parts, actor, ("upsertNoticeRule", wanted), step, RuleChange),
        idempotency_key=idempotency_key,
        dry_run=dry_run,
    )


async def remove(
    parts: Parts, actor: Actor, rule_id: str, *, idempotency_key: str | None = None, dry_run: bool = False
) -> NoticeRule:
    """Remove the rule: what of it waits to be sent is skipped. As it was.

    Needs the scope notices:manage. Raises ``NotFound``, ``Forbidden``, ``IdempotencyConflict``, ``Unavailable``.
    """
    actor.require(NOTICES_MANAGE)

    async def step(transaction: Transaction) -> NoticeRule:
        old = await read_one(transaction, actor.tenant, rule_id, lock=True)
        if old is None:
            raise no_rule()
        await transaction.execute(
            "DELETE FROM lakefront.notice_rules WHERE tenant_id = $1 AND rule_id = $2", actor.tenant, rule_id
        )
        _log.info("notice rule removed tenant=%s rule=%s", actor.tenant, rule_id)
        return old

    request = ("removeNoticeRule", rule_id)
    return await change(parts, actor, request, step, NoticeRule, idempotency_key=idempotency_key, dry_run=dry_run)


def example(rule: NoticeRule) -> Example:
    """What the rule would send of a made-up event of the first of its types."""
    event = streams.example(streams.STREAMS[rule.stream], rule.event_types[0])
    return Example(
        subject=None if rule.subject is None else templates.rendered(rule.subject, event),
        text=None if rule.text is None else templates.rendered(rule.text, event),
        data=event if rule.webhook_id is not None else None,
    )


def _may_tell(actor: Actor, scope: str) -> None:
    """Pass if the actor may read of everybody what a rule would tell: it would be a way around that otherwise."""
    if scope not in actor.scopes:
        raise Forbidden(f"Such a rule tells what only '{scope}' opens. Ask for a token with a role that has it.")


async def _write(
    transaction: Transaction, actor: Actor, given: RuleInput, old: NoticeRule | None, new_id: str
) -> RuleChange:
    values = {name: getattr(given, name) for name in given.__struct_fields__ if name != "rule_id"}
    if old is not None and all(getattr(old, name) == value for name, value in values.items()):
        return RuleChange(old, created=False, changed=False)
    goes_on = old is not None and old.enabled and old.stream == given.stream
    rule = NoticeRule(
        rule_id=old.rule_id if old else new_id,
        since=old.since if old is not None and goes_on else await _head(transaction, actor.tenant, given.stream),
        version=old.version + 1 if old else 1,
        created_at=old.created_at if old else datetime.now(UTC),
        updated_at=datetime.now(UTC),
        updated_by=actor.subject,
        **values,
    )
    [(created_at, updated_at)] = await transaction.fetch(
        _PUT,
        *(actor.tenant, rule.rule_id, rule.name, rule.stream, list(rule.event_types)),
        *(orjson.dumps(to_builtins(rule.conditions)), rule.channel, rule.recipient_kind, rule.address),
        *(rule.webhook_id, rule.subject, rule.text, rule.most_daily, rule.enabled),
        *(orjson.dumps(rule.since), rule.version, actor.subject),
    )
    await transaction.execute("SELECT pg_notify($1, $2)", CHANNEL, rule.stream)
    _log.info("notice rule written tenant=%s rule=%s version=%d", actor.tenant, rule.rule_id, rule.version)
    return RuleChange(replace(rule, created_at=created_at, updated_at=updated_at), created=old is None, changed=True)


async def _head(transaction: Transaction, tenant: str, stream: str) -> dict[str, int]:
    """Where the stream ends now, as far as it is committed."""
    rows = await transaction.fetch(
        "SELECT shard, next FROM lakefront.heads WHERE tenant_id = $1 AND stream = $2", tenant, stream
    )
    return {str(shard): following for shard, following in rows}
