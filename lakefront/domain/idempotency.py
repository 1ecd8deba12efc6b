"""Mutations with an idempotency key (X2): same key and body, the stored result; another body, a conflict."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec
import orjson

from lakefront.actor import Actor
from lakefront.db.database import Database, Transaction
from lakefront.errors import IdempotencyConflict, Unavailable, ValidationError

KEPT = timedelta(days=1)
"""How long a result is kept; after that the same key is a new request."""

MAX_KEY = 200

_STORED: Final = """
SELECT body, result FROM lakefront.idempotency_keys
WHERE tenant_id = $1 AND subject = $2 AND operation = $3 AND key = $4
"""

PATIENCE: Final = 10.0
"""Seconds that a request waits for a ``place``, as long as for a connection of the pool."""

_places: "WeakKeyDictionary[Database, asyncio.Semaphore]" = WeakKeyDictionary()
"""Of each pool, how many more requests may hold a connection while they ask for another."""


async def once(
    database: Database, actor: Actor, operation: str, key: str | None, request: bytes, run: Callable[[], Awaitable[Any]]
) -> Any:
    """The result of ``run`` in JSON form, run once for ``key``.

    The key's row is reserved in an open transaction while ``run`` goes on, so that a second request with the same key
    waits for the first one's result. Killed in between, nothing is stored and a retry runs again: what ``run`` does
    must bear that (events do, by their ids). Only half of the pool is ever held so: the rest is for everybody else, and
    for what ``run`` itself may ask. Raises ``IdempotencyConflict`` for another body, ``ValidationError`` for a bad key,
    ``Unavailable`` when too many wait.
    """
    if key is None:
        return msgspec.to_builtins(await run())
    async with place(database), database.transaction(actor.tenant) as transaction:
        return await once_within(transaction, actor, operation, key, request, run)


async def result_of(database: Database, actor: Actor, operation: str, key: str, request: bytes) -> Any:
    """What is stored for ``key``; None when nothing is. Raises ``IdempotencyConflict`` for another body."""
    async with database.transaction(actor.tenant) as transaction:
        rows = await transaction.fetch(_STORED, actor.tenant, actor.subject, operation, key)
    return _checked(rows[0], _digest(request)) if rows else None


@asynccontextmanager
async def place(database: Database) -> AsyncIterator[None]:
    """A right to hold a connection while asking for others: half of the pool's, so that those others can be had.

    Raises ``Unavailable`` when none comes free in time.
    """
    places = _places.get(database)
    if places is None:
        places = _places[database] = asyncio.Semaphore(max(1, database.pool_size // 2))
    try:
        async with asyncio.timeout(PATIENCE):
            await places.acquire()
    except TimeoutError:
        raise Unavailable("Too many changes are under way. Send this one again after Retry-After seconds.") from None
    try:
        yield
    finally:
        places.release()


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
    body = _digest(request)
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
        [row] = await transaction.fetch(_STORED, *which)
        return _checked(row, body)
    result = msgspec.to_builtins(await run())
    await transaction.execute(
        "UPDATE lakefront.idempotency_keys SET result = $5 "
        "WHERE tenant_id = $1 AND subject = $2 AND operation = $3 AND key = $4",
        *(*which, orjson.dumps(result)),
    )
    return result


def _digest(request: bytes) -> UUID:
    return UUID(bytes=blake2b(request, digest_size=16).digest())


def _checked(row: tuple[UUID, Any], body: UUID) -> Any:
    """The result of a stored row; raises ``IdempotencyConflict`` if it is another request's."""
    stored, result = row
    if stored != body:
        raise IdempotencyConflict
    return result
