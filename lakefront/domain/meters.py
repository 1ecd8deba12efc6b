"""What measuring pipelines needs to remember between two looks: counts, running sums, answers in flight, news."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from lakefront.domain.tally import Stream, Tally

FRESH: Final = 0.5
"""Seconds for which an answer is good for whoever asks the same."""

RESUM: Final = 3600.0
"""Seconds after which the manifest is summed anew from its beginning, whatever was done to it meanwhile."""


@dataclass(slots=True)
class Stored:
    """A shard's sealed objects before ``until``, summed: the manifest only grows, so that the rest is added to it."""

    until: int = 0
    objects: int = 0
    stored_bytes: int = 0
    raw_bytes: int = 0


@dataclass(slots=True)
class Sums:
    """The shards' sums of one stream, begun at ``began`` (monotonic seconds)."""

    began: float = field(default_factory=time.monotonic)
    shards: dict[int, Stored] = field(default_factory=dict)


class Meters:
    """One for each server process, part of ``Services``."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.poller_lag: Mapping[str, float] = {}
        """Provider -> seconds since that of its open service requests was asked after which waits longest (C13)."""
        self.polled: Counter[str] = Counter()
        """Provider -> how often this server asked where a service request stands."""
        self._sums: dict[Stream, Sums] = {}
        self._answers: dict[tuple[Stream, object], tuple[float, asyncio.Task[Any]]] = {}
        self._news: dict[Stream, asyncio.Event] = {}

    def sums(self, key: Stream) -> Sums:
        """What is known of the stream's stored bytes; new sums are remembered by ``keep`` alone."""
        sums = self._sums.get(key)
        return Sums() if sums is None or time.monotonic() - sums.began > RESUM else sums

    def keep(self, key: Stream, sums: Sums) -> None:
        """Remember the sums of a stream that there is: whoever makes up names must not fill the memory."""
        self._sums[key] = sums

    async def shared(self, key: Stream, what: object, make: Callable[[], Awaitable[Any]]) -> Any:
        """What ``make`` gives, computed once for all who ask for ``what`` of ``key`` at about the same time."""
        at, task = self._answers.get((key, what), (0.0, None))
        if task is None or (task.done() and time.monotonic() - at > FRESH):
            task = asyncio.ensure_future(make())
            self._answers[key, what] = (time.monotonic(), task)
            task.add_done_callback(partial(self._made, (key, what)))
        return await asyncio.shield(task)

    def _made(self, which: tuple[Stream, object], task: "asyncio.Task[Any]") -> None:
        """A failure is no answer for whoever asks next."""
        if (task.cancelled() or task.exception() is not None) and self._answers.get(which, (0.0, None))[1] is task:
            del self._answers[which]

    def sealed(self, payload: str) -> None:
        """A notice of the manifest's channel, ``tenant|stream``: those who wait for news of it look."""
        tenant, _, stream = payload.rpartition("|")
        key = (tenant, stream)
        for answer in [answer for answer in self._answers if answer[0] == key]:
            del self._answers[answer]
        if news := self._news.pop(key, None):
            news.set()

    async def news(self, key: Stream, *, patience: float) -> None:
        """Return when a batch of the stream was sealed, or after ``patience`` seconds."""
        try:
            async with asyncio.timeout(patience):
                await self._news.setdefault(key, asyncio.Event()).wait()
        except TimeoutError:
            return
