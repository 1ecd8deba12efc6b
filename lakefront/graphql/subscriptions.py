"""Running subscriptions: a source of payloads, and the event's selection executed once for each of them.

A source that meets its like (``Following.meet``) ends where its group stands; from there on the group tells it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from graphql import ExecutionResult, Executor
from graphql.execution import create_source_event_stream

from lakefront.errors import Lagged, LakefrontError
from lakefront.graphql.answers import Answer, refused
from lakefront.graphql.execution import closing, run_to_end
from lakefront.graphql.following import Delivery
from lakefront.graphql.guard import Guard
from lakefront.graphql.operation import Operation
from lakefront.graphql.plan.errors import format_execution_errors
from lakefront.graphql.plan.live_run import Beside, LiveExecutor, placed, told
from lakefront.graphql.plan.run import Runner
from lakefront.graphql.sharing.group import Groups
from lakefront.graphql.sharing.key import group_actor
from lakefront.graphql.sharing.seat import Outlet, Seat, Shared

FAIR_SHARE: Final = 16
"""Events of one subscription that are told in a row before everybody else gets a turn on the event loop."""


class Host(Protocol):
    """What subscriptions need of the operations that they are among."""

    def executor(self, operation: Operation) -> Executor[Any] | Answer:
        """graphql-core's executor with the variables coerced, or what is wrong with them."""

    runner: Runner
    """Runs the statements of plans."""

    def context_of(self, operation: Operation) -> Any:
        """What resolvers see, anew for each event."""

    def guarded(self, trace_id: str) -> Guard:
        """Within the time an operation has; other failures come out as ``LakefrontError``s."""

    async def take_request(self, operation: Operation) -> None:
        """Count the operation against the tenant's day; raises ``RateLimited``."""

    def extended(self, operation: Operation, answer: Answer) -> Answer:
        """``answer`` with what its request asks to be told beside the data."""


class Subscriptions:
    """The subscriptions that run; each event takes one of ``slots`` while it is executed."""

    def __init__(self, host: Host, slots: asyncio.Semaphore, buffer: int) -> None:
        """``buffer``: how many answers may wait for one subscriber."""
        self._host = host
        self._slots = slots
        self._seats: dict[int, Seat] = {}
        self.groups = Groups(self._run, buffer)
        self.running = 0
        """How many run now."""
        self.executed = 0
        """Events and heartbeats that were executed, for one or for many."""
        self.delivered = 0
        """Answers to single subscribers; those that groups told are counted by ``groups``."""
        self.lagged = 0
        """Subscribers that were told that they fell behind."""

    async def follow(self, operation: Operation, outlet: Outlet | None = None) -> AsyncGenerator[Answer]:
        """The answers of a subscription, the last one refused if it fails.

        Those that ``outlet`` takes are not yielded: it is called, at any time, with what waits for the subscriber.
        """
        run = self._run(operation)
        try:
            if not isinstance(run, Answer):
                with self._host.guarded(operation.trace_id):
                    await self._host.take_request(operation)
        except LakefrontError as error:
            run = refused(error, operation.trace_id)
        async with self._counted():
            while not isinstance(run, Answer):
                source = run.answers()
                del run  # a seat may be held for days
                async with self._seated(operation, outlet) as seat, aclosing(self._on(seat, source)) as answers:
                    async for answer in answers:
                        self.lagged += isinstance(answer.refusal, Lagged)
                        yield answer
                if not seat.moved:
                    return
                operation.following.resume_after = seat.given
                run = self._run(operation)
        yield run

    def renewed(self, operation: Operation, *, allowed: bool) -> None:
        """The rights of the operation's actor are others now: not one more event comes that was made for the old."""
        seat = self._seats.get(id(operation))
        if seat is None or seat.group is None:
            return
        if not allowed or seat.group.key[0] != group_actor(operation):
            seat.move(again=allowed)

    async def _on(self, seat: Seat, source: AsyncGenerator[Answer]) -> AsyncGenerator[Answer]:
        """What the subscriber's own source tells, and after it what its group does."""
        failed = False
        async with aclosing(source) as answers:
            async for answer in answers:
                self.delivered += 1
                seat.told(answer.cursor)
                failed = not answer.executed
                yield answer
        if seat.joined and not failed:
            async with aclosing(_live(seat)) as shared:
                async for answer in shared:
                    yield answer

    def _run(self, operation: Operation) -> "_Run | Answer":
        executor = self._host.executor(operation)
        return executor if isinstance(executor, Answer) else _Run(self, self._host, self._slots, operation, executor)

    @asynccontextmanager
    async def _seated(self, operation: Operation, outlet: Outlet | None) -> AsyncIterator[Seat]:
        seat = self._seats[id(operation)] = self.groups.seat(operation, outlet)
        operation.following.meet = seat.meet
        try:
            yield seat
        finally:
            operation.following.meet = None
            seat.live = False  # a group that is writing to its members just now passes it by
            del self._seats[id(operation)]
            self.groups.leave(seat)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1


class _Run:
    """One run of a source: the answers of its payloads, each executed by itself, with a context of its own."""

    def __init__(
        self,
        counted: Subscriptions,
        host: Host,
        slots: asyncio.Semaphore,
        operation: Operation,
        executor: Executor[Any],
    ) -> None:
        self._counted = counted
        self._host = host
        self._slots = slots
        self._operation = operation
        self._executor = executor
        self._beside = Beside(host.runner)

    async def answers(self) -> AsyncGenerator[Answer]:
        """The answers as they come; the last one is refused if the source fails."""
        trace_id = self._operation.trace_id
        try:
            source = await self._source()
        except LakefrontError as error:
            yield refused(error, trace_id)
            return
        if isinstance(source, ExecutionResult):
            yield Answer(errors=format_execution_errors(source.errors or [], trace_id), executed=False)
            return
        async with closing(source) as events:
            told = 0
            while True:
                try:
                    with Guard(trace_id):
                        payload = await anext(events)
                    answer = await self._delivery(payload)
                except StopAsyncIteration:
                    return
                except LakefrontError as error:
                    yield refused(error, trace_id)
                    return
                yield answer
                told += 1
                if told % FAIR_SHARE == 0:
                    # A long history never waits for anything by itself.
                    await asyncio.sleep(0)

    async def event(self, payload: Any) -> Answer:
        """The operation's selection of ``payload``."""
        operation = self._operation
        self._counted.executed += 1
        live = operation.planned.plan.live
        raw = told(operation.planned, payload, {}) if live is not None and not live.reads else None
        if raw is not None:
            answer = Answer(raw=raw, tier=1)  # nothing is waited for
        else:
            async with self._slots:
                with self._host.guarded(operation.trace_id):
                    answer = await self._event(payload)
        return self._host.extended(operation, answer)

    async def _event(self, payload: Any) -> Answer:
        """By the plan's statements as far as they go, by resolvers otherwise."""
        operation, known = self._operation, None
        planned = operation.planned
        if planned.plan.live is not None:
            known = await self._beside.of(planned, operation.actor, payload)
            raw = None if known is None else told(planned, payload, known)
            if raw is not None:
                return Answer(raw=raw, tier=1)
        event = self._executor.build_per_event_executor(payload)
        event._relevant_sub_fields = {}  # noqa: SLF001 - shared, it keeps every event's selection until the last
        event.context_value = self._host.context_of(operation)
        if known:
            assert isinstance(event, LiveExecutor), "subscriptions have one"
            event.known = placed(known)
        answer = await run_to_end(event, partial(event.execute_operation, serially=False), operation.trace_id)
        return replace(answer, tier=2 if known else 3)

    async def _source(self) -> Any:
        with self._operation.traced(), self._host.guarded(self._operation.trace_id):
            source: Any = create_source_event_stream(self._executor)
            return await source if self._executor.is_awaitable(source) else source

    async def _delivery(self, payload: Any) -> Answer:
        cursor = payload.cursor if isinstance(payload, Delivery) else None
        if self._operation.following.hides(payload):
            return Answer(cursor=cursor, heartbeat=True)
        answer = await self.event(payload)
        answer.cursor = cursor
        return answer


async def _live(seat: Seat) -> AsyncGenerator[Answer]:
    """What the group tells and no outlet takes, heartbeats where they are wanted, and the end."""
    every = seat.operation.following.every
    while True:
        seat.live = False  # what waits is given here, in order
        while seat.waiting:
            if seat.outlet is None or not seat.outlet(seat):
                yield seat.take()
        if seat.over:
            break
        seat.live = True
        seat.news.clear()
        try:
            async with asyncio.timeout(None if every is None else max(0.0, every - seat.silence())):
                await seat.news.wait()
        except TimeoutError:
            await _beat(seat, every or 0.0)
    last = seat.last()
    if last is not None:
        yield last


async def _beat(seat: Seat, every: float) -> None:
    """Tell where the group stands, unless something else was told in the last seconds, or now."""
    group = seat.group
    if seat.silence() < every or group is None or group.cursor is None:
        return
    answer: Shared | None = Shared(cursor=group.cursor, heartbeat=True)
    if seat.operation.following.asked:
        answer = await group.beat()
    if answer is not None and not seat.waiting and not seat.over and seat.silence() >= every:
        seat.offer(answer)
