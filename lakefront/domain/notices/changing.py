"""A change of rules or webhooks: in one transaction, once for an idempotency key, undone on a dry run."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec

from lakefront.actor import Actor
from lakefront.db.database import Transaction
from lakefront.domain import idempotency
from lakefront.domain.integrations import Parts
from lakefront.errors import NotFound

T = TypeVar("T")

MAX_NAME: Final = 100


class _DryRun(Exception):
    """Everything was done, nothing is to stay."""


async def change(
    parts: Parts,
    actor: Actor,
    request: tuple[Any, ...],
    step: Callable[[Transaction], Awaitable[T]],
    kind: type[T],
    *,
    idempotency_key: str | None,
    dry_run: bool,
) -> T:
    """What ``step`` makes of ``request``, whose first part names the operation; ``kind`` must hold no secret.

    Changes of a tenant's rules and webhooks come one after the other.
    """
    made: Any = None

    async def run() -> T:
        lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
        await transaction.execute(lock, f"notices:{actor.tenant}")
        return await step(transaction)

    with suppress(_DryRun):
        async with parts.database.transaction(actor.tenant) as transaction:
            key = None if dry_run else idempotency_key
            body = parts.endpoints.keys.fingerprint(msgspec.json.encode(request))
            made = await idempotency.once_within(transaction, actor, str(request[0]), key, body, run)
            if dry_run:
                raise _DryRun
    return msgspec.convert(made, kind)


def is_name(text: str) -> bool:
    """Whether a rule or a webhook may be called so."""
    return 1 <= len(text) <= MAX_NAME and text.isprintable() and bool(text.strip())


def no_rule() -> NotFound:
    """There is no such rule."""
    return NotFound("There is no such notice rule. noticeRules lists those that there are.")


def no_webhook() -> NotFound:
    """There is no such webhook."""
    return NotFound("There is no such webhook. webhooks lists those that there are; registerWebhook adds one.")
