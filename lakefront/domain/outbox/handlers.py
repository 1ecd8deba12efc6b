"""What a domain gives to the worker: how jobs of a kind are carried out."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from lakefront.db.database import Database, Transaction
from lakefront.domain.outbox.enqueue import finish
from lakefront.domain.outbox.jobs import Job, LeaseLost
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError, Unavailable

_PAUSES: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries to write a result while PostgreSQL is away."""


class Handler(Protocol):
    """How the jobs of one kind are carried out. One object for all of them; it must bear to be used concurrently.

    What ``run`` raises decides what becomes of the job:

    - ``UpstreamError``, ``RateLimited`` and ``Unavailable`` of an adapter's call: nothing was done; again, later
      (``retry_after`` is kept to), dead after five minutes of failures, replayed after an hour;
    - what is raised within ``nothing_sent()``: again, where trying again may help;
    - ``UpstreamRejected``, ``ValidationError``, ``NotFound``, ``Conflict``: dead, and never replayed by itself;
    - ``UpstreamDenied``, ``NotConfigured``: dead, operators are told, replayed after an hour;
    - everything else (``UpstreamUncertain``, PostgreSQL away as the result was written, a bug, a worker that was
      killed): it may have been carried out. ``look_up`` some minutes later, never a blind retry.
    """

    @property
    def kind(self) -> str:
        """The ``kind`` of its jobs."""
        ...

    async def run(self, services: Services, job: Job) -> None:
        """Make the call, then write what came of it and ``finish`` in one transaction (``record`` does both)."""
        ...

    async def look_up(self, services: Services, job: Job) -> None:
        """A try at ``job.first_tried_at`` or later may have gone through: find out, and write as ``run`` does.

        Where it did not go through, or a second one does no harm, call ``run``. Raises ``UpstreamUncertain`` where it
        cannot be told: a person has to look. After ``UpstreamError``, ``NotConfigured``, ``RateLimited`` and
        ``Unavailable`` it is looked up again for an hour; whatever else it raises, it is uncertain.
        """
        ...

    async def gave_up(self, transaction: Transaction, job: Job, error: LakefrontError, *, uncertain: bool) -> None:
        """Write into the domain's own rows that the job is dead, or ``uncertain``, in the worker's transaction.

        It may still be replayed, by itself or by a person: then ``run`` or ``look_up`` comes again.
        """
        ...


class NothingSent(Exception):
    """The cause of this one came before anything was sent."""

    def __init__(self, cause: LakefrontError) -> None:
        self.cause = cause
        super().__init__(cause.message)


@contextmanager
def nothing_sent() -> Iterator[None]:
    """As a block within ``run``, around what comes before the call: reading rows, say.

    What fails in it leaves no doubt: PostgreSQL being away is then no reason to look whether anything went through.
    """
    try:
        yield
    except LakefrontError as error:
        raise NothingSent(error) from error


async def record(database: Database, job: Job, write: Callable[[Transaction], Awaitable[None]]) -> None:
    """``write`` what came of the call, and finish ``job``, in one transaction.

    While PostgreSQL is away it is tried again for some fifteen seconds, as what is known now would have to be looked up
    later. Raises ``LeaseLost`` where another worker has the job, ``Unavailable``, and what ``write`` raises.
    """
    for pause in (*_PAUSES, None):
        try:
            async with database.transaction(job.tenant) as transaction:
                if not await finish(transaction, job):
                    raise LeaseLost
                await write(transaction)
        except Unavailable:
            if pause is None:
                raise
            await asyncio.sleep(pause)
        else:
            return
