"""Carries out what is in the outbox, of all tenants; every server runs one, and they share the jobs (C2)."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Iterable
from typing import Final

from redis.asyncio import Redis

from lakefront import tracing
from lakefront.db.database import Transaction
from lakefront.domain.outbox import claims
from lakefront.domain.outbox.claims import Claim, Due
from lakefront.domain.outbox.enqueue import LETTER
from lakefront.domain.outbox.handlers import Handler, NothingSent
from lakefront.domain.outbox.jobs import LeaseLost
from lakefront.domain.outbox.outcome import Again, Dead, Outcome, Uncertain, decide, shown
from lakefront.domain.outbox.pace import Pace
from lakefront.domain.outbox.stream import JobStream, Message
from lakefront.domain.outbox.sweeper import Sweeper
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError, Unavailable, UpstreamDenied, loggable
from lakefront.eventlog.pace import Bell

OF_A_LINE: Final = 3
"""Due jobs of one integration that are handed to the stream at once: so many times its share."""

PARKED: Final = 2
"""Messages for an integration that has its share already, which a worker keeps for later: so many times that."""

_log = logging.getLogger("lakefront.integrations")


class OutboxWorker:
    """Finds what is due, takes it, has its handler carry it out, and writes what became of it.

    Redis says who looks at which job next; while it is away, PostgreSQL alone does. Killed anywhere, a job is looked
    up by whoever finds its lease over. ``notice`` and ``wake`` are told by the listener.
    """

    def __init__(
        self, services: Services, redis: "Redis | None", handlers: Iterable[Handler], *, pace: Pace | None = None
    ) -> None:
        """Raises ``ValueError`` where two handlers are of one kind. ``pace`` None: as the settings say."""
        self._services = services
        self._handlers: dict[str, Handler] = {}
        for handler in handlers:
            if self._handlers.setdefault(handler.kind, handler) is not handler:
                raise ValueError(f"Two handlers are of the kind {handler.kind}. Give each a kind of its own.")
        self._pace = pace or Pace.of_settings(services.settings)
        self._stream = JobStream(redis)
        self._sweeper = Sweeper(services.provisioner, services.database, redis, self._pace)
        self._bell = Bell()
        self._swept_at = float("-inf")
        self._working: dict[asyncio.Task[None], str] = {}
        self._parked: defaultdict[str, deque[Message]] = defaultdict(deque)
        self._closing = False

    def notice(self, payload: str = LETTER) -> None:
        """A job was enqueued, or a dead letter came or went, on any server."""
        if payload == LETTER:
            self._sweeper.stale = True
        self._bell.ring()

    def wake(self) -> None:
        """Look at everything now: notices were lost, or PostgreSQL is back."""
        self.notice()

    async def run(self) -> None:
        """Work until ``close``; a job that fails is decided on, and never stops the others."""
        # asyncio.wait_for, which redis-py awaits, may swallow a cancellation (CPython issue 86296).
        while not self._closing:
            self._bell.quiet()
            try:
                await self._look()
                await self._sweep()
            except Unavailable:
                _log.info("outbox: PostgreSQL is away, looking again in a moment")
            except Exception:  # noqa: BLE001 - the worker must outlive it
                _log.exception("outbox: a look at what is due failed")
            await self._bell.wait(self._pace.poll)

    async def close(self) -> None:
        """Take no more; what is under way has a few seconds, and is looked up by others if that is too short."""
        self._closing = True
        self._bell.ring()
        for message in [message for line in self._parked.values() for message in line]:
            await self._stream.acknowledge(message)  # others find its job due
        working = list(self._working)
        if working:
            await asyncio.wait(working, timeout=self._pace.grace)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    @property
    def _free(self) -> int:
        return 0 if self._closing else self._pace.jobs - len(self._working)

    async def _look(self) -> None:
        """Begin what can be begun: what the stream has, else what is due."""
        for line, parked in self._parked.items():
            while parked and self._room(line):
                message = parked.popleft()
                self._begin(message.due, message)
        await self._read()
        if self._free <= 0 or not self._handlers:
            return
        busy = [line for line in {*self._working.values(), *self._parked} if self._parked[line] or not self._room(line)]
        most = OF_A_LINE * self._pace.share
        found = await claims.due(self._services.provisioner, list(self._handlers), most=most, but=busy)
        await self._stream.hand(found)
        await self._read()
        if not self._stream.here:
            for each in found:
                if self._room(each.line):
                    self._begin(each, None)

    async def _read(self) -> None:
        """Begin what the stream has, until there is no place or no message."""
        while (asked := self._free) > 0:
            messages = await self._stream.read(asked)
            await self._take(messages)
            if len(messages) < asked:
                return

    async def _take(self, messages: Iterable[Message]) -> None:
        """Begin each, or keep it until its integration has room; more than a few are left to be found due again."""
        for message in messages:
            line = message.due.line
            if self._room(line):
                self._begin(message.due, message)
            elif len(self._parked[line]) < PARKED * self._pace.share:
                self._parked[line].append(message)
            else:
                await self._stream.acknowledge(message)

    def _begin(self, due: Due, message: Message | None) -> None:
        task = asyncio.create_task(self._work(due, message), name=f"outbox {due.job_id}")
        self._working[task] = due.line
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._working[task]
        self._bell.ring()

    def _room(self, line: str) -> bool:
        """Whether one more job of an integration may begin."""
        return self._free > 0 and sum(each == line for each in self._working.values()) < self._pace.share

    async def _sweep(self) -> None:
        """The sweeper's round, and what dead workers left in the stream."""
        now = asyncio.get_running_loop().time()
        due = now - self._swept_at >= self._pace.sweep
        if due:
            self._swept_at = now
            await self._take(await self._stream.take_over(self._pace.lease))
            await self._stream.tidy()
        if due or self._sweeper.stale:
            await self._sweeper.run(listing=self._stream.here, thoroughly=due)

    async def _work(self, due: Due, message: Message | None) -> None:
        """One job, from its claim to what became of it."""
        try:
            claim = await claims.claim(self._services.database, due, list(self._handlers), self._pace)
            if claim is not None:
                await self._carry_out(claim)
        except Unavailable:
            _log.info("outbox: job %s waits, PostgreSQL is away", due.job_id)
        except Exception as failure:  # noqa: BLE001 - a job that fails stops no other
            _log.error("outbox: job %s was left as it is: %s", due.job_id, loggable(failure))
        finally:
            if message is not None:
                await self._stream.acknowledge(message)

    async def _carry_out(self, claim: Claim) -> None:
        """Have its handler do it; decide on what that raises."""
        job, handler = claim.job, self._handlers[claim.job.kind]
        step = handler.look_up if claim.was.looking_up else handler.run
        try:
            with tracing.span("lakefront.outbox", job.trace_id, kind=job.kind, provider=job.provider):
                await self._keeping(claim, step(self._services, job))
        except LeaseLost:
            _log.info("outbox: job %s is another worker's by now", job.job_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is decided on
            if not isinstance(error, LakefrontError | NothingSent | TimeoutError):
                _log.error("outbox: the handler of %s failed, trace %s: %s", job.kind, job.trace_id, loggable(error))
            await self._settle(claim, handler, decide(error, claim.trying(), self._pace), shown(error))

    async def _keeping(self, claim: Claim, work: Awaitable[None]) -> None:
        """Await ``work`` while the lease is renewed; raises ``TimeoutError`` past its time, ``LeaseLost``."""
        try:
            async with asyncio.timeout(self._pace.longest), asyncio.TaskGroup() as group:
                renewing = group.create_task(self._renew(claim))
                await work
                renewing.cancel()
        except BaseExceptionGroup as several:
            # LeaseLost of the renewal, which cancelled the work; of the work itself nothing is wrapped.
            raise several.exceptions[0] from None

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self._pace.lease / 3)
            try:
                kept = await claims.renew(self._services.database, claim.job, self._pace)
            except Unavailable:
                continue
            if not kept:
                raise LeaseLost

    async def _settle(self, claim: Claim, handler: Handler, outcome: Outcome, error: LakefrontError) -> None:
        """Write what became of the job; while PostgreSQL is away, for as long as the lease lasts.

        What is known now would have to be looked up otherwise.
        """
        job, loop = claim.job, asyncio.get_running_loop()
        until = loop.time() + self._pace.lease
        while True:
            try:
                async with self._services.database.transaction(job.tenant) as transaction:
                    await claims.settle(transaction, job, outcome, error)
                    if not isinstance(outcome, Again):
                        await _tell_domain(transaction, handler, claim, error, uncertain=isinstance(outcome, Uncertain))
                break
            except Unavailable:
                if loop.time() > until or self._closing:
                    raise
                await asyncio.sleep(min(0.5, self._pace.lease / 10))
            except LeaseLost:
                return
        _tell(claim, outcome, error)


async def _tell_domain(
    transaction: Transaction, handler: Handler, claim: Claim, error: LakefrontError, *, uncertain: bool
) -> None:
    """The domain's own rows; where that fails, the dead letter is to stay all the same."""
    try:
        async with transaction.connection.transaction():
            await handler.gave_up(transaction, claim.job, error, uncertain=uncertain)
    except Unavailable:
        raise
    except Exception as failure:
        if transaction.connection.is_closed():
            raise
        _log.error("outbox: what became of job %s is not in its own row: %s", claim.job.job_id, loggable(failure))


def _tell(claim: Claim, outcome: Outcome, error: LakefrontError) -> None:
    """For the log (C13): codes and ids alone."""
    job = claim.job
    match outcome:
        case Again(wait, in_doubt):
            level, what = logging.INFO, f"{'looked up' if in_doubt else 'tried again'} in {wait:.0f} s"
        case Dead():
            level, what = logging.WARNING, "is a dead letter"
        case _:
            level, what = logging.WARNING, "is uncertain: a person has to look"
    if isinstance(error, UpstreamDenied):
        level = logging.ERROR
    _log.log(
        level,
        "outbox: %s for %s %s (%s, try %d, trace %s)",
        *(job.kind, job.provider, what, error.code, job.attempt, job.trace_id),
        extra={"integration.provider": job.provider, "trace_id": job.trace_id, "error_code": error.code},
    )
