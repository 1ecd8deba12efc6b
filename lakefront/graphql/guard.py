"""The clock and the mask of whatever runs for a client."""

import asyncio
from types import TracebackType
from typing import Any

from lakefront.errors import InternalError, LakefrontError, OperationTimeout
from lakefront.graphql.plan.errors import log_unforeseen


class Guard:
    """As a block: it ends within so many seconds, or with ``OperationTimeout``, and lets no strange failure out.

    Only ``LakefrontError``s, the end of a stream and true cancellation leave it; the rest is logged and masked. It does
    what ``asyncio.timeout`` does, in one plain block instead of three that await: every operation passes it.
    """

    __slots__ = ("_cancelling", "_late", "_seconds", "_task", "_timer", "_trace_id")

    def __init__(self, trace_id: str, seconds: float | None = None) -> None:
        """Without ``seconds`` there is no clock."""
        self._trace_id = trace_id
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._late = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "what runs for a client runs in a task"
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        if self._seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self._late = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        cancelled = self._task.cancelling() > 0
        # Somebody else may have cancelled the task as well: that counts for more than the time.
        timed_out = self._late and self._task.uncancel() <= self._cancelling
        if error is None or isinstance(error, LakefrontError | StopAsyncIteration):
            return
        if isinstance(error, asyncio.CancelledError):
            if timed_out:
                raise OperationTimeout from None
            if cancelled:
                return
        elif not isinstance(error, Exception):
            return
        # A cancellation that nobody asked for is a failure, too: something that a resolver awaited was cancelled.
        log_unforeseen(error, self._trace_id)
        raise InternalError from None
