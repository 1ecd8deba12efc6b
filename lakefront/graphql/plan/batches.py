"""Natural batching: requests for one row of the same statement go together while the connections are busy (DESIGN.md).

No timer: the first request goes at once, and whatever queues until it is answered goes next. What goes together has the
same statement, tenant, row scope and values, its key aside. Who goes away takes nobody along; a statement for which
nobody waits any more is cancelled.
"""

import asyncio
from collections.abc import Hashable
from functools import partial
from itertools import islice
from typing import Final, Protocol

import asyncpg

from lakefront.db.database import Database
from lakefront.graphql.plan.statements import Bound

MOST_KEYS: Final = 500
"""Keys in one statement."""

IN_FLIGHT: Final = 2
"""Statements of one kind at once: more would share less, and leave no connection to the others."""

Value = bytes | None
"""JSON text; ``None`` is null."""


class Waiting(Protocol):
    """Whoever waits for a value: what is needed of a future. It must not raise."""

    def done(self) -> bool:
        """Whether it waits no more."""

    def set_result(self, result: Value, /) -> None:
        """Take the value."""

    def set_exception(self, exception: Exception, /) -> None:
        """Take what the statement raised."""

    def cancel(self) -> object:
        """The statement was cancelled."""


_Waiting = dict[Waiting, Bound]


class _Kind:
    """Requests that may go together: those that queue, and the statements that run."""

    __slots__ = ("queue", "running")

    def __init__(self) -> None:
        self.queue: _Waiting = {}
        self.running: dict[asyncio.Task[None], _Waiting] = {}


class Batches:
    """Runs bound statements that take many keys."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kinds: dict[Hashable, _Kind] = {}
        self.statements = 0
        """How many ran."""
        self.keys = 0
        """How many keys they took."""

    @property
    def pending(self) -> int:
        """Kinds of which something queues or runs."""
        return len(self._kinds)

    async def run(self, bound: Bound) -> Value:
        """The root field's value for one key; raises what the statement raised."""
        waiting: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self.add(bound, waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            self.leave(bound, waiting)
            raise

    def add(self, bound: Bound, waiting: Waiting) -> None:
        """Have ``waiting`` told the root field's value for one key, or what the statement raised."""
        name = _name(bound)
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = _Kind()
        kind.queue[waiting] = bound
        if len(kind.running) < IN_FLIGHT:
            self._start(name, kind)

    def leave(self, bound: Bound, waiting: Waiting) -> None:
        """``waiting``, which is done, waits no more: a statement for which nobody else does is cancelled."""
        kind = self._kinds.get(_name(bound))
        if kind is None or kind.queue.pop(waiting, None) is not None:
            return
        for task, batch in kind.running.items():
            if waiting in batch and all(each.done() for each in batch):
                task.cancel()

    def _start(self, name: Hashable, kind: _Kind) -> None:
        batch: _Waiting = {}
        task = asyncio.create_task(self._work(kind, batch))
        kind.running[task] = batch
        task.add_done_callback(partial(self._ended, name, kind))

    async def _work(self, kind: _Kind, batch: _Waiting) -> None:
        """Run what queues, as ``batch``: what came in the same turn of the event loop is among it."""
        for waiting in list(islice(kind.queue, MOST_KEYS)):
            batch[waiting] = kind.queue.pop(waiting)
        if batch:
            await self._together(batch)

    def _ended(self, name: Hashable, kind: _Kind, task: "asyncio.Task[None]") -> None:
        """Go on with what queued meanwhile; in a callback, as a task may be cancelled at any time."""
        for waiting in kind.running.pop(task):
            waiting.cancel()  # nothing where it was told
        if kind.queue:
            self._start(name, kind)
        elif not kind.running:
            del self._kinds[name]

    async def _together(self, batch: _Waiting) -> None:
        """Tell each what it waits for, or what became of it."""
        try:
            answers = await self._fetch(list(batch.values()))
        except asyncpg.DataError as failure:
            if len(batch) == 1:
                _fail(batch, failure)
                return
            # One key may have failed for all: each runs alone.
            for waiting, bound in batch.items():
                if not waiting.done():
                    await self._together({waiting: bound})
        except Exception as failure:  # noqa: BLE001 - it is told to those that wait for it
            _fail(batch, failure)
        else:
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(answer)

    async def _fetch(self, batch: list[Bound]) -> list[Value]:
        first = batch[0]
        self.statements += 1
        self.keys += len(batch)
        statement = first.together([each.key for each in batch])
        answers: list[Value] = await self._database.value(statement.sql, *statement.values)
        return answers


def _name(bound: Bound) -> Hashable:
    """The same for whatever may go together."""
    return (bound.shape, bound.tenant, bound.subject, bound.slots)


def _fail(batch: _Waiting, failure: Exception) -> None:
    for waiting in batch:
        if not waiting.done():
            waiting.set_exception(failure)
