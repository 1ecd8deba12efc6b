"""Running subscriptions: a source of payloads, and the event's selection executed once for each of them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final, Protocol

from graphql import ExecutionResult, Executor
from graphql.execution import create_source_event_stream

from lakefront.errors import LakefrontError
from lakefront.graphql.answers import Answer, refused
from lakefront.graphql.execution import closing, masked, run_to_end
from lakefront.graphql.following import Delivery
from lakefront.graphql.operation import Operation
from lakefront.graphql.plan.errors import format_execution_errors

FAIR_SHARE: Final = 16
"""Events of one subscription that are told in a row before everybody else gets a turn on the event loop."""


class Runner(Protocol):
    """What subscriptions need of the operations that they are among."""

    def executor(self, operation: Operation) -> Executor[Any] | Answer:
        """graphql-core's executor with the variables coerced, or what is wrong with them."""

    def context_of(self, operation: Operation) -> Any:
        """What resolvers see, anew for each event."""

    def guarded(self, trace_id: str) -> AbstractAsyncContextManager[None]:
        """Within the time an operation has; other failures come out as ``LakefrontError``s."""

    async def take_request(self, operation: Operation) -> None:
        """Count the operation against the tenant's day; raises ``RateLimited``."""


class Subscriptions:
    """The subscriptions that run; each event takes one of ``slots`` while it is executed."""

    def __init__(self, runner: Runner, slots: asyncio.Semaphore) -> None:
        self._runner = runner
        self._slots = slots
        self.running = 0
        """How many run now."""

    async def follow(self, operation: Operation) -> AsyncGenerator[Answer]:
        """The answers of a subscription: each event is executed by itself, with a context of its own."""
        trace_id = operation.trace_id
        executor = self._runner.executor(operation)
        if isinstance(executor, Answer):
            yield executor
            return
        try:
            with operation.traced():
                async with self._runner.guarded(trace_id):
                    await self._runner.take_request(operation)
                    source: Any = create_source_event_stream(executor)
                    if executor.is_awaitable(source):
                        source = await source
        except LakefrontError as error:
            yield refused(error, trace_id)
            return
        if isinstance(source, ExecutionResult):
            yield Answer(errors=format_execution_errors(source.errors or [], trace_id), executed=False)
            return
        async with self._counted(), closing(source) as events:
            told = 0
            while True:
                try:
                    async with masked(trace_id):
                        payload = await anext(events)
                    answer = await self._delivery(executor, payload, operation)
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

    async def _delivery(self, executor: Executor[Any], payload: Any, operation: Operation) -> Answer:
        cursor = payload.cursor if isinstance(payload, Delivery) else None
        if operation.following.hides(payload):
            return Answer(cursor=cursor, heartbeat=True)
        answer = await self._event(executor, payload, operation)
        answer.cursor = cursor
        return answer

    async def _event(self, executor: Executor[Any], payload: Any, operation: Operation) -> Answer:
        event = executor.build_per_event_executor(payload)
        event._relevant_sub_fields = {}  # noqa: SLF001 - shared, it keeps every event's selection until the last
        event.context_value = self._runner.context_of(operation)
        async with self._slots, self._runner.guarded(operation.trace_id):
            return await run_to_end(event, partial(event.execute_operation, serially=False), operation.trace_id)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
