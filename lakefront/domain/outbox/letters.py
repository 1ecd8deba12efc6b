"""Dead letters: what could not be told to the outside, and what a person decides about it (C12).

All of it is for those who manage the tenant's integrations, and needs the scope integrations:manage.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
from sqlalchemy import select

from lakefront.actor import INTEGRATIONS_MANAGE, Actor
from lakefront.db.database import Database, Transaction
from lakefront.db.tables.outbox import dead_letters as table
from lakefront.domain import idempotency
from lakefront.domain.outbox.enqueue import CHANNEL, LETTER
from lakefront.domain.outbox.jobs import LetterState
from lakefront.errors import Conflict, NotFound

_LOCK: Final = "SELECT 1 FROM lakefront.outbox WHERE tenant_id = $1 AND job_id = $2 FOR UPDATE"

_REPLAY: Final = """
UPDATE lakefront.outbox SET state = 'QUEUED', due_at = now(), round_at = now(), trying_since = NULL, replays = 0,
  in_doubt_since = CASE WHEN $3 THEN in_doubt_since END, updated_at = now()
WHERE tenant_id = $1 AND job_id = $2
"""

_DISCARD: Final = """
UPDATE lakefront.outbox SET state = 'DEAD', due_at = NULL, in_doubt_since = NULL, updated_at = now()
WHERE tenant_id = $1 AND job_id = $2
"""

_DECIDE: Final = """
UPDATE lakefront.dead_letters SET state = $3, decided_at = now(), decided_by = $4, on_behalf_of = $5
WHERE tenant_id = $1 AND letter_id = $2
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that died, or nobody knows whether it was carried out (``uncertain``); nothing personal is in it.

    ``replay_at``: when it is replayed by itself, None where a person has to. ``excerpt``: the form of the payload.
    """

    letter_id: UUID
    job_id: UUID
    kind: str
    key: str
    provider: str
    city: str
    state: LetterState
    uncertain: bool
    error_code: str
    error_message: str
    attempts: int
    trace_id: str
    excerpt: str
    died_at: datetime
    replay_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    on_behalf_of: str | None


COLUMNS: Final = [table.c[name] for name in DeadLetter.__slots__]


class Parts(Protocol):
    """What this takes of ``Services``: a command line has no more."""

    @property
    def database(self) -> Database:
        """The application's."""


def letter_of(row: Any) -> DeadLetter:
    """The row, which has ``COLUMNS``."""
    return msgspec.convert(dict(row), DeadLetter, strict=False)


async def replay(
    parts: Parts,
    actor: Actor,
    letter_id: str,
    *,
    not_carried_out: bool = False,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> DeadLetter:
    """Have the job tried again at once; the letter, decided on (on a dry run, as it would be).

    What is uncertain is looked up first, as it may have been carried out. ``not_carried_out`` says that a person
    looked, and that it was not: then it is simply done. Raises ``NotFound``, ``Conflict`` where it is decided on
    already, ``IdempotencyConflict``, ``Unavailable``.
    """

    async def step(transaction: Transaction, letter: DeadLetter) -> None:
        doubt = letter.uncertain and not not_carried_out
        await transaction.execute(_REPLAY, actor.tenant, letter.job_id, doubt)

    asked = ("replayDeadLetter", letter_id, not_carried_out)
    return await _decide(parts, actor, letter_id, LetterState.REPLAYED, step, asked, idempotency_key, dry_run)


async def discard(
    parts: Parts, actor: Actor, letter_id: str, *, idempotency_key: str | None = None, dry_run: bool = False
) -> DeadLetter:
    """Leave the job as it is, for good: nobody tries it again. Jobs that waited for it go on. As ``replay``."""

    async def step(transaction: Transaction, letter: DeadLetter) -> None:
        await transaction.execute(_DISCARD, actor.tenant, letter.job_id)

    asked = ("discardDeadLetter", letter_id, False)
    return await _decide(parts, actor, letter_id, LetterState.DISCARDED, step, asked, idempotency_key, dry_run)


async def waiting(
    parts: Parts, actor: Actor, *, provider: str | None = None, after: DeadLetter | None = None, most: int = 1000
) -> list[DeadLetter]:
    """Letters that nobody decided on yet, oldest first: at most so many, those ``after`` one."""
    actor.require(INTEGRATIONS_MANAGE)
    ours = select(*COLUMNS).where(table.c.tenant_id == actor.tenant, table.c.state == LetterState.WAITING.value)
    if provider is not None:
        ours = ours.where(table.c.provider == provider)
    if after is not None:
        later = table.c.died_at > after.died_at
        ours = ours.where(later | ((table.c.died_at == after.died_at) & (table.c.letter_id > after.letter_id)))
    async with parts.database.transaction(actor.tenant) as transaction:
        rows = await transaction.fetch(ours.order_by(table.c.died_at, table.c.letter_id).limit(most))
    return [letter_of(row) for row in rows]


class _DryRun(Exception):
    """Everything was done, nothing is to stay."""


async def _decide(
    parts: Parts,
    actor: Actor,
    letter_id: str,
    to: LetterState,
    step: Callable[[Transaction, DeadLetter], Awaitable[None]],
    asked: tuple[str, str, bool],
    idempotency_key: str | None,
    dry_run: bool,
) -> DeadLetter:
    """Do ``step`` and note who decided, in one transaction, once for an idempotency key."""
    actor.require(INTEGRATIONS_MANAGE)
    known = _id(letter_id)
    stored: Any = None

    async def run() -> DeadLetter:
        letter = await _locked(transaction, actor.tenant, known)
        await step(transaction, letter)
        key = (actor.tenant, known)
        await transaction.execute(_DECIDE, *key, to.value, actor.subject, actor.on_behalf_of)
        await transaction.execute("SELECT pg_notify($1, $2)", CHANNEL, LETTER)
        return await _read(transaction, actor.tenant, known)

    with suppress(_DryRun):
        async with parts.database.transaction(actor.tenant) as transaction:
            key = None if dry_run else idempotency_key
            body = msgspec.json.encode(asked)
            stored = await idempotency.once_within(transaction, actor, asked[0], key, body, run)
            if dry_run:
                raise _DryRun
    return msgspec.convert(stored, DeadLetter)


async def _locked(transaction: Transaction, tenant: str, letter_id: UUID) -> DeadLetter:
    """The letter, which nobody else decides on meanwhile; the job's row first, as a worker takes them."""
    letter = await _read(transaction, tenant, letter_id)
    await transaction.fetch(_LOCK, tenant, letter.job_id)
    letter = await _read(transaction, tenant, letter_id)
    if letter.state is not LetterState.WAITING:
        what = "replayed" if letter.state is LetterState.REPLAYED else "discarded"
        raise Conflict(f"This dead letter was {what} already. See deadLetters for what waits now.")
    return letter


async def _read(transaction: Transaction, tenant: str, letter_id: UUID) -> DeadLetter:
    one = select(*COLUMNS).where(table.c.tenant_id == tenant, table.c.letter_id == letter_id)
    rows = await transaction.fetch(one)
    if not rows:
        raise _not_found()
    return letter_of(rows[0])


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _not_found() from None


def _not_found() -> NotFound:
    return NotFound("There is no such dead letter. deadLetters lists those that there are.")
