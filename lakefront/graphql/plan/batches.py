"""Natural batching: requests for one row of the same statement go together while the connections are busy (DESIGN.md).

No timer: the first request goes at once, and whatever queues until it is answered goes next. What goes together has the
same statement, tenant, row scope and values, its key aside.
"""

import asyncio
from collections.abc import Hashable
from typing import Final

from lakefront.db.database import Database
from lakefront.graphql.plan.statements import Bound

MOST_KEYS: Final = 500
"""Keys in one statement."""

IN_FLIGHT: Final = 2
"""Statements of one kind at once: more would share less, and leave no connection to the others."""

Value = bytes | None
"""JSON text; ``None`` is null."""

_Waiting = tuple[Bound, asyncio.Future[Value]]


class Batches:
    """Runs bound statements that take many keys."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queues: dict[Hashable, list[_Waiting]] = {}
        self._running: dict[Hashable, set[asyncio.Task[None]]] = {}
        self.statements = 0
        """How many ran."""
        self.keys = 0
        """How many keys they took."""

    async def run(self, bound: Bound) -> Value:
        """The root field's value for one key; raises what the statement raised."""
        kind = (bound.shape, bound.tenant, bound.subject, bound.slots)
        waiting: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(kind, []).append((bound, waiting))
        running = self._running.setdefault(kind, set())
        if len(running) < IN_FLIGHT:
            task = asyncio.create_task(self._work(kind))
            running.add(task)
        return await waiting

    async def _work(self, kind: Hashable) -> None:
        """Run what waits until nothing does."""
        queue, running = self._queues[kind], self._running[kind]
        while queue:
            batch = [(bound, waiting) for bound, waiting in queue[:MOST_KEYS] if not waiting.done()]
            del queue[:MOST_KEYS]
            if batch:
                await self._together(batch)
        # At once, not in a callback of the task: what queues before that ran would wait for a task that has ended.
        task = asyncio.current_task()
        assert task is not None
        running.remove(task)
        if not running:
            del self._running[kind], self._queues[kind]

    async def _together(self, batch: list[_Waiting]) -> None:
        try:
            answers = await self._fetch([bound for bound, _ in batch])
        except Exception as failure:  # noqa: BLE001 - it is told to those that wait for it
            if len(batch) > 1:
                # One key may have failed for all: each runs alone.
                for one in batch:
                    await self._together([one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(failure)
            return
        for (_, waiting), answer in zip(batch, answers, strict=True):
            if not waiting.done():
                waiting.set_result(answer)

    async def _fetch(self, batch: list[Bound]) -> list[Value]:
        first = batch[0]
        keys = {
            f"keys{place}": list(column) for place, column in enumerate(zip(*(each.key for each in batch), strict=True))
        }
        self.statements += 1
        self.keys += len(batch)
        template = first.shape.template
        values = template.fill(first.slots, first.named() | keys)
        answers: list[Value] = await self._database.value(template.sql, *values)
        return answers


async def read(database: Database, bound: Bound) -> list[Value]:
    """The root fields' values of a statement that goes alone."""
    template = bound.shape.template
    found: list[Value] = await database.value(template.sql, *template.fill(bound.slots, bound.named()))
    return found
