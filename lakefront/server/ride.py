"""One operation on the express way: from its statement's start to its answer, without a task or a message in between.

It stands where uvicorn has the cycle of a request, and where ``plan.batches`` has a future. What is not plain success
(a statement that fails, a client that leaves, time that is up, an answer to be compressed) is dealt with by the same
functions as on the long way, in a task if it takes time.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from lakefront.errors import OperationTimeout
from lakefront.graphql.answers import Answer
from lakefront.graphql.operation import Operation
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.batches import Value
from lakefront.graphql.plan.errors import log_unforeseen
from lakefront.graphql.plan.run import timed_out
from lakefront.graphql.plan.statements import Bound
from lakefront.server.caller import Caller, Pair
from lakefront.server.compression import pack
from lakefront.server.cycle import JOINED, known_line
from lakefront.server.cycle import line as header_line
from lakefront.server.graphql_http import VARY, reply_to
from lakefront.server.limits.headers import rate_limit_lines
from lakefront.server.limits.rooms import Standing
from lakefront.server.metrics import Metrics
from lakefront.settings import Settings


class Carrier(Protocol):
    """What a ride needs of its connection."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    server_state: ServerState

    def on_response_complete(self) -> None:
        """The answer is out."""


class Line:
    """What all rides share."""

    def __init__(self, operations: Operations, metrics: Metrics, route: str, settings: Settings) -> None:
        """Answers are counted in ``metrics`` as those of ``route``."""
        self.operations = operations
        self.timeout = settings.graphql_timeout
        self.compress_from = settings.compress_from
        self._metrics = metrics
        self._route = route
        self._common: tuple[Sequence[Pair], bytes] = ((), b"")
        self._under_way: dict[Ride, float] = {}
        self._clock: asyncio.TimerHandle | None = None

    def depart(self, ride: "Ride") -> None:
        """``ride`` has to arrive in time. All have the same time, so that one clock, for the oldest, does for all."""
        loop = asyncio.get_running_loop()
        self._under_way[ride] = loop.time() + self.timeout
        if self._clock is None:
            self._clock = loop.call_later(self.timeout, self._look)

    def arrive(self, ride: "Ride") -> None:
        """``ride`` waits no more."""
        self._under_way.pop(ride, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._clock = None
        while self._under_way:
            ride, due = next(iter(self._under_way.items()))
            if due > loop.time():
                self._clock = loop.call_at(due, self._look)
                return
            ride.expire()

    def common(self, headers: Sequence[Pair]) -> bytes:
        """``headers`` that uvicorn has for every answer, as they are sent; it makes them anew each second."""
        if self._common[0] is not headers:
            self._common = (headers, b"".join(known_line(name, value) for name, value in headers))
        return self._common[1]

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self._metrics.request(self._route, status, seconds)


class _Unheard:
    """Nobody waits for messages of the client."""

    def set(self) -> None:
        """Tell nobody."""


class Ride:
    """A request whose statement runs. ``leave`` ends it without an answer; whatever else happens answers it once."""

    __slots__ = (
        *("_bound", "_caller", "_carrier", "_line", "_operation", "_standings"),
        *("_began", "_task", "_told", "disconnected", "keep_alive", "response_complete"),
    )

    more_body: Final = False
    message_event: Final = _Unheard()

    def __init__(
        self,
        line: Line,
        caller: Caller,
        carrier: Carrier,
        operation: Operation,
        bound: Bound,
        standings: Sequence[Standing],
    ) -> None:
        """A turn and what the limits count are taken already; ``start`` begins it."""
        self._line = line
        self._caller = caller
        self._carrier = carrier
        self._operation = operation
        self._bound = bound
        self._standings = standings
        self._began = time.perf_counter()
        self._told = self.disconnected = self.response_complete = False
        self.keep_alive = True
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Have the statement run."""
        self._line.depart(self)
        runner = self._line.operations.runner
        if self._bound.shape.batched:
            runner.batches.add(self._bound, self)
        else:
            self._later(self._read())

    def crowd(self) -> None:
        """Another request waits behind this one, so that nobody hears the client leave: this one ends soon."""

    def leave(self) -> None:
        """The client is gone: nobody waits for the answer."""
        if not self.response_complete:
            self.disconnected = True
            self._stop()
            self._end()

    # What a statement tells (plan.batches.Waiting).

    def done(self) -> bool:
        """Whether the statement is waited for no more."""
        return self._told

    def set_result(self, result: Value, /) -> None:
        """Answer with the only root field's value."""
        if not self._told:
            try:
                self._succeed([result])
            except Exception as error:  # noqa: BLE001 - others of the batch wait for theirs
                self._break(error)

    def set_exception(self, exception: BaseException, /) -> None:
        """Answer as the long way does where the statement failed."""
        if not self._told:
            self._settle()
            self._later(self._recover(exception))

    def cancel(self) -> None:
        """The statement was cancelled, though somebody waits for it."""
        self.set_exception(asyncio.CancelledError())

    def _settle(self) -> None:
        self._told = True
        self._line.arrive(self)

    def _stop(self) -> None:
        """Wait for nothing any more."""
        waited = not self._told
        self._settle()
        if self._task is not None:
            self._task.cancel()
        elif waited:
            self._line.operations.runner.batches.leave(self._bound, self)

    def expire(self) -> None:
        """Its time is up."""
        self._stop()
        operation = self._operation
        self._later(self._reply(timed_out(operation.planned.plan, OperationTimeout(), operation.trace_id)))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._carrier.loop.create_task(self._to_its_end(work))

    async def _to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must not wait for ever
            self._break(error)

    def _break(self, error: Exception) -> None:
        """End without an answer: even to say so has failed."""
        log_unforeseen(error, self._operation.trace_id)
        if not self.response_complete:
            self._end()
            self._carrier.transport.close()

    async def _read(self) -> None:
        try:
            found = await self._line.operations.runner.alone(self._bound)
        except Exception as failure:  # noqa: BLE001 - it is told as on the long way
            if not self._told:  # else it was cancelled, and that went wrong
                self._settle()
                await self._recover(failure)
        else:
            if not self._told:
                self._succeed(found)

    async def _recover(self, failure: BaseException) -> None:
        left = max(0.0, self._line.timeout - (time.perf_counter() - self._began))
        await self._reply(await self._line.operations.recover(self._operation, failure, left))

    def _succeed(self, found: Sequence[Value]) -> None:
        self._settle()
        body = self._line.operations.answer_of(self._operation, found)
        if self._is_packed(body):
            self._later(self._send(200, self._caller.head, body))
        else:
            self._write(200, self._caller.head, body)

    async def _reply(self, answer: Answer) -> None:
        reply = reply_to(answer, self._caller.media, self._operation.trace_id, {"vary": VARY})
        headers = [pair for pair in reply.headers() if pair[0] != b"x-trace-id"]
        lines = [header_line(name, value) for name, value in self._caller.told(headers)]
        await self._send(reply.status, b"".join((STATUS_LINE[reply.status], *lines)), reply.body)

    def _is_packed(self, body: bytes) -> bool:
        return self._caller.coding is not None and len(body) >= self._line.compress_from

    async def _send(self, status: int, head: bytes, body: bytes) -> None:
        coding = self._caller.coding
        if coding is not None and self._is_packed(body):
            head += known_line(b"content-encoding", coding.encode())
            body = await pack(body, coding)
        self._write(status, head, body)

    def _write(self, status: int, head: bytes, body: bytes) -> None:
        """``head``: the status line and what the answer has in common with others."""
        if self.response_complete:
            return
        own = rate_limit_lines(self._standings)
        if not self.keep_alive:
            own += b"connection: close\r\n"
        carrier = self._carrier
        head = b"%b%bx-trace-id: %b\r\ncontent-length: %d\r\n%b\r\n" % (
            head,
            self._line.common(carrier.server_state.default_headers),
            self._operation.trace_id.encode(),
            len(body),
            own,
        )
        if len(body) > JOINED:
            carrier.transport.writelines((head, body))
        else:
            carrier.transport.write(head + body)
        self._line.answered(status, time.perf_counter() - self._began)
        self._end()
        if not self.keep_alive:
            carrier.transport.close()
        carrier.on_response_complete()

    def _end(self) -> None:
        if not self.response_complete:
            self.response_complete = True
            self._line.operations.turns.release()
