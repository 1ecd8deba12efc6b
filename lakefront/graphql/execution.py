"""One run of graphql-core's executor: to its end, and with its source closed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

from graphql import ExecutionResult, Executor

from lakefront.errors import Unavailable
from lakefront.graphql.answers import Answer
from lakefront.graphql.plan.errors import format_execution_errors


async def run_to_end(executor: Executor[Any], start: Callable[[], Any], trace_id: str) -> Answer:
    """Run to the end; resolvers left behind by a failed sibling are waited for, as a query needs them no more.

    They are few and short, and one that was stopped before it began could not be closed properly. Who is out of time or
    went away takes them along.
    """
    try:
        result = start()
        if executor.is_awaitable(result):
            result = await cast("Awaitable[ExecutionResult]", result)
        while executor.background_futures:
            await asyncio.wait(executor.background_futures)
    finally:
        left = list(executor.background_futures)
        for future in left:
            future.cancel()
        if left:
            await asyncio.gather(*left, return_exceptions=True)
    errors = format_execution_errors(result.errors, trace_id) if result.errors else None
    return Answer(data=result.data, errors=errors, refusal=_outage(result))


def _outage(result: ExecutionResult) -> Unavailable | None:
    """The outage that left nothing but errors; HTTP tells it by its status, so that clients and proxies come again."""
    if not result.errors or any(value is not None for value in (result.data or {}).values()):
        return None
    causes = [error.original_error for error in result.errors]
    outages = [cause for cause in causes if isinstance(cause, Unavailable)]
    return outages[0] if len(outages) == len(causes) else None


def closing(source: Any) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
    """The iterator of ``source``, closed at the end where it can be."""

    @asynccontextmanager
    async def closing() -> AsyncIterator[AsyncIterator[Any]]:
        iterator = aiter(source)
        try:
            yield iterator
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    return closing()
