"""A follower: reads pages of its own while it is behind, then takes them from the hub, without gap or double (X1)."""

import asyncio
from types import TracebackType
from typing import Self

from lakefront.errors import CursorExpired, Lagged, Unavailable
from lakefront.eventlog.cursors import LAYOUT, encode
from lakefront.eventlog.events import Offsets, Page, reaches
from lakefront.eventlog.postgres.hub import PAGE, Hubs, Live, Stream, closing
from lakefront.eventlog.postgres.read import Pages

_PAUSE = 0.25
"""Seconds between two attempts to read while PostgreSQL or the object store is away."""


class Following:
    """``EventLog.follow``: an async context manager and, inside, an iterator of pages; ``__anext__`` is safe to cancel.

    Hand-over: at the hub's position H a place is taken, what lies between the follower's own position and H is read
    from the log (from the lake, where the log was trimmed), and of the hub's pages only what is not known yet is passed
    on. While PostgreSQL or the object store is away it waits.
    """

    def __init__(self, hubs: Hubs, tenant: str, stream: str, after: Offsets | None, heartbeat: float | None) -> None:
        self._hubs = hubs
        self._key: Stream = (tenant, stream)
        self._after = after
        self._heartbeat = heartbeat
        self._position: dict[int, int] = {}
        self._live: Live | None = None
        self._pages = Pages(hubs.reader, tenant, stream)
        self._reading: asyncio.Task[Page] | None = None

    async def __aenter__(self) -> Self:
        head = await self._hubs.reader.head(*self._key)
        if self._after is None:
            self._position = head
        elif any(offset > head.get(shard, 0) for shard, offset in self._after.items()):
            told = "This cursor lies past the end of the log: was the database restored? Read the stream anew."
            raise CursorExpired(encode(self._key[1], LAYOUT, head), told)
        else:
            self._position = {**dict.fromkeys(head, 0), **self._after}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.leave()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page:
        """The next page; an empty one after ``heartbeat`` seconds of silence.

        Raises ``Lagged``, and ``CursorExpired`` where the log was trimmed and no lake is read.
        """
        now = asyncio.get_running_loop().time()
        deadline = None if self._heartbeat is None else now + self._heartbeat
        try:
            page = await self._next(deadline)
        except TimeoutError:
            page = Page([], self._position)
        self._position = page.position
        return Page(page.events, dict(page.position), page.size)

    async def _next(self, deadline: float | None) -> Page:
        """The next page that has events; raises ``TimeoutError`` when the wait for it passes ``deadline``."""
        while True:
            level = self._live if self._is_level() else None
            page = await (self._from_log(deadline) if level is None else self._from_hub(level, deadline))
            if page.events:
                return page
            self._position = page.position

    def _is_level(self) -> bool:
        """Whether all before the hub's pages is known."""
        return self._live is not None and reaches(self._position, self._live.start)

    async def _from_hub(self, live: Live, deadline: float | None) -> Page:
        async with asyncio.timeout_at(deadline):
            page = await live.next()
        if page is None:
            raise Lagged(encode(self._key[1], LAYOUT, self._position))
        known = self._position
        events = [event for event in page.events if event.offset >= known.get(event.shard, 0)]
        position = {shard: max(offset, known.get(shard, 0)) for shard, offset in page.position.items()}
        return Page(events, position, page.size)

    async def _from_log(self, deadline: float | None) -> Page:
        until = None if self._live is None else self._live.start
        if self._hubs.closed:
            raise closing()
        try:
            page = await self._read(until, deadline)
        except Unavailable:
            async with asyncio.timeout_at(deadline):
                await asyncio.sleep(_PAUSE)
            return Page([], self._position)
        if self._live is None and (not page.events or self._is_near(page.position)):
            self._live = self._hubs.join(self._key, page.position)
        return page

    async def _read(self, until: Offsets | None, deadline: float | None) -> Page:
        """The next page of the follower's own; a read that passes ``deadline`` goes on, and the next call waits for it.

        Were it given up instead, a follower whose pages take longer than its heartbeat would never get one.
        """
        if self._reading is None:
            self._reading = asyncio.create_task(self._pages.next(self._position, limit=PAGE, until=until))
        patience = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
        done, _ = await asyncio.wait({self._reading}, timeout=patience)
        if not done:
            raise TimeoutError
        reading, self._reading = self._reading, None
        return reading.result()

    def _is_near(self, position: Offsets) -> bool:
        """Whether the hub is less than a page ahead of ``position``."""
        hub = self._hubs.position(self._key)
        return hub is not None and sum(offset - position.get(shard, 0) for shard, offset in hub.items()) < PAGE
