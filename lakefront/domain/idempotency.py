"""Mutations with an idempotency key (X2): same key and body, the stored result; another body, a conflict."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
import orjson

from lakefront.actor import Actor
from lakefront.db.database import Database, Transaction
from lakefront.errors import IdempotencyConflict, ValidationError

KEPT = timedelta(days=1)
"""How long a result is kept; after that the same key is a new request."""

MAX_KEY = 200


async def once(
    database: Database, actor: Actor, operation: str, key: str | None, request: bytes, run: Callable[[], Awaitable[Any]]
) -> Any:
    """The result of ``run`` in JSON form, run once for ``key``.

    The key's row is reserved in an open transaction while ``run`` goes on, so that a second request with the same key
    waits for the first one's result. Killed in between, nothing is stored and a retry runs again: what ``run`` does
    must bear that (events do, by their ids). Raises ``IdempotencyConflict`` for another body, ``ValidationError`` for
    a bad key.
    """
    if key is None:
        return msgspec.to_builtins(await run())
    async with database.transaction(actor.tenant) as transaction:
        return await once_within(transaction, actor, operation, key, request, run)


async def once_within(
    transaction: Transaction,
    actor: Actor,
    operation: str,
    key: str | None,
    request: bytes,
    run: Callable[[], Awaitable[Any]],
) -> Any:
    """As ``once``, where ``run`` writes in the same ``transaction``: its effect and its result are stored together."""
    if key is None:
        return msgspec.to_builtins(await run())
    if not 0 < len(key) <= MAX_KEY or "\0" in key:
        raise ValidationError(
            f"An idempotency key has 1 to {MAX_KEY} characters.",
            details=[{"field": "idempotencyKey", "message": "Shorten it, or leave it out."}],
        )
    body = UUID(bytes=blake2b(request, digest_size=16).digest())
    which = (actor.tenant, actor.subject, operation, key)
    await transaction.execute(
        "DELETE FROM lakefront.idempotency_keys WHERE tenant_id = $1 AND created_at < now() - $2::interval",
        *(actor.tenant, KEPT),
    )
    reserved = await transaction.fetch(
        "INSERT INTO lakefront.idempotency_keys (tenant_id, subject, operation, key, body, result, created_at) "
        "VALUES ($1, $2, $3, $4, $5, 'null', now()) ON CONFLICT DO NOTHING RETURNING 1",
        *(*which, body),
    )
    if not reserved:
        [(stored, result)] = await transaction.fetch(
            "SELECT body, result FROM lakefront.idempotency_keys "
            "WHERE tenant_id = $1 AND subject = $2 AND operation = $3 AND key = $4",
            *which,
        )
        if stored != body:
            raise IdempotencyConflict
        return result
    result = msgspec.to_builtins(await run())
    await transaction.execute(
        "UPDATE lakefront.idempotency_keys SET result = $5 "
        "WHERE tenant_id = $1 AND subject = $2 AND operation = $3 AND key = $4",
        *(*which, orjson.dumps(result)),
    )
    return result
