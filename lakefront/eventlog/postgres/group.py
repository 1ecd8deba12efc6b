"""Group commit without a timer: whatever queued while the last transaction ran shares the next one.

Each shard has a lane of its own, as its head is locked while a transaction runs: lanes run side by side. What must go
in as a whole (``atomic``) has a lane for itself, which locks the heads of all its shards.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

from lakefront import tracing
from lakefront.errors import InternalError, LakefrontError, Unavailable, ValidationError
from lakefront.eventlog.events import Appended, NewEvent
from lakefront.eventlog.postgres.append import Appender, Batch
from lakefront.eventlog.postgres.rows import Prepared, prepare

log = logging.getLogger(__name__)

_CHUNK = 250  # events prepared between two looks at other tasks

_ALL_SHARDS = -1

_LULL = 0.1
"""Seconds without an append after which the log is not busy."""

T = TypeVar("T")


class _Lane(NamedTuple):
    tenant: str
    stream: str
    shard: int


class _Request:
    """A batch that waits for its verdicts."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.verdicts: asyncio.Future[list[Appended]] = asyncio.get_running_loop().create_future()

    def answer(self, verdicts: list[Appended]) -> None:
        """Hand the verdicts over, unless the caller went away."""
        if not self.verdicts.done():
            self.verdicts.set_result(verdicts)

    def fail(self, error: LakefrontError) -> None:
        """Hand ``error`` over, unless the caller went away."""
        if not self.verdicts.done():
            self.verdicts.set_exception(error)


class GroupCommit:
    """One committer for each lane that has appends under way: a task that ends when its queue is empty.

    ``committed`` is called with (tenant, stream) after each transaction. At most ``rows`` events share a transaction.
    """

    def __init__(self, appender: Appender, *, rows: int, committed: Callable[[str, str], None]) -> None:
        self._appender = appender
        self._rows = rows
        self._committed = committed
        self._queues: dict[_Lane, deque[_Request]] = {}
        self._committers: set[asyncio.Task[None]] = set()
        self._closed = False
        self._ended = -_LULL

    async def append(
        self, tenant: str, stream: str, events: Sequence[NewEvent], *, atomic: bool = False
    ) -> list[Appended]:
        """The verdicts on ``events``, durable; a caller that is cancelled disturbs nobody else.

        More than ``rows`` events go in slices, one after the other, unless they are ``atomic``.
        """
        if not events:
            return []
        shards = await self._appender.layout(tenant, stream)
        verdicts: list[Appended] = []
        for part in _slices(events, len(events) if atomic else self._rows):
            prepared: list[Prepared] = []
            for chunk in _slices(part, _CHUNK):
                if prepared:
                    await asyncio.sleep(0)
                prepared += prepare(tenant, stream, chunk)
            lanes = {_ALL_SHARDS: list(range(len(part)))} if atomic else _by_shard(prepared, shards)
            answers = await asyncio.gather(*(
                self._queue(_Lane(tenant, stream, shard), Batch([prepared[index] for index in indices], atomic))
                for shard, indices in lanes.items()
            ))  # fmt: skip
            placed = dict(zip(chain(*lanes.values()), chain(*answers), strict=True))
            verdicts += map(placed.__getitem__, range(len(part)))
        return verdicts

    async def preview(self, tenant: str, stream: str, events: Sequence[NewEvent]) -> list[Appended]:
        """The verdicts that ``append`` would give now, without appending."""
        return await self._appender.preview(tenant, stream, Batch(prepare(tenant, stream, events), atomic=False))

    def busy(self) -> bool:
        """Whether appends are under way, or were until just now: senders wait for their answers between two of them."""
        return bool(self._queues) or time.monotonic() - self._ended < _LULL

    async def close(self, *, patience: float = 5.0) -> None:
        """Take nothing more, finish what is queued within ``patience`` seconds, give up the rest as ``Unavailable``."""
        self._closed = True
        if self._committers:
            _, late = await asyncio.wait(self._committers, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _queue(self, key: _Lane, batch: Batch) -> "asyncio.Future[list[Appended]]":
        if self._closed:
            raise _closing()
        request = _Request(batch)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = deque()
            task = asyncio.create_task(self._commit_all(key, queue), name=f"committer of {key.stream}")
            self._committers.add(task)
            task.add_done_callback(self._committers.discard)
        queue.append(request)
        return request.verdicts

    async def _commit_all(self, key: _Lane, queue: deque[_Request]) -> None:
        group: list[_Request] = []
        try:
            while queue:
                group = self._take(queue)
                if group:
                    await self._commit(key, group)
        finally:
            del self._queues[key]
            self._ended = time.monotonic()
            for request in chain(group, queue):
                request.fail(_closing())

    def _take(self, queue: deque[_Request]) -> list[_Request]:
        """The next group: at least one request, then as many as fit; callers that went away are left out."""
        group: list[_Request] = []
        rows = 0
        while queue and (not group or rows + len(queue[0].batch.events) <= self._rows):
            request = queue.popleft()
            if not request.verdicts.done():
                group.append(request)
                rows += len(request.batch.events)
        return group

    async def _commit(self, key: _Lane, group: list[_Request]) -> None:
        try:
            traces = (request.batch.events[0].event.trace_id for request in group)
            with tracing.spans("lakefront.append", traces, stream=key.stream, requests=len(group)):
                verdicts = await self._appender.append(key.tenant, key.stream, [request.batch for request in group])
        except ValidationError as error:
            await self._halve(key, group, error)
        except LakefrontError as error:
            for request in group:
                request.fail(error)
        except Exception:
            log.exception("an append to %s failed", key.stream)
            for request in group:
                request.fail(InternalError())
        else:
            self._committed(key.tenant, key.stream)
            for request, answer in zip(group, verdicts, strict=True):
                request.answer(answer)

    async def _halve(self, key: _Lane, group: list[_Request], error: LakefrontError) -> None:
        """Find the request that cannot be stored, so that its neighbours are."""
        if len(group) == 1:
            group[0].fail(error)
            return
        middle = len(group) // 2
        await self._commit(key, group[:middle])
        await self._commit(key, group[middle:])


def _slices(items: Sequence[T], most: int) -> Iterable[Sequence[T]]:
    return (items[start : start + most] for start in range(0, len(items), most))


def _by_shard(events: Sequence[Prepared], shards: int) -> dict[int, list[int]]:
    """Shard -> the indices of its events; an id that comes again goes where it came first: there it is found."""
    lanes: dict[int, list[int]] = {}
    first: dict[bytes, int] = {}
    for index, event in enumerate(events):
        shard = first.setdefault(event.dedupe, event.hashed_key % shards)
        lanes.setdefault(shard, []).append(index)
    return lanes


def _closing() -> Unavailable:
    return Unavailable("The server is shutting down. Send the request again: what is stored is found by its id.")
