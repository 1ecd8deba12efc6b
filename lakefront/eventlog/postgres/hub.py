"""One tail of a stream for all its followers in this process: read once, handed to everybody."""

import asyncio
import logging
from collections import deque

from lakefront.errors import InternalError, LakefrontError, Unavailable
from lakefront.eventlog.events import Offsets, Page
from lakefront.eventlog.pace import Bell
from lakefront.eventlog.postgres.read import Pages, Reader

log = logging.getLogger(__name__)

Stream = tuple[str, str]
"""(tenant, stream)."""

PAGE = 500
"""Events a read asks for."""

BUFFER_BYTES = 32 * 1024 * 1024
"""Bytes of JSON that a follower may leave waiting, however few events they are."""


class Live:
    """A follower's place at the hub: the pages not taken yet, at most ``buffer`` events and ``BUFFER_BYTES``."""

    def __init__(self, hub: "Hub", buffer: int) -> None:
        self.start = dict(hub.position)
        self.lagged = False
        self._hub = hub
        self._buffer = buffer
        self._pages: deque[Page] = deque()
        self._waiting = 0
        self._bytes = 0
        self._error: LakefrontError | None = None
        self._ready = asyncio.Event()

    async def next(self) -> Page | None:
        """The next page; None when the follower ``lagged``. Safe to cancel. Raises what ended the hub."""
        await self._ready.wait()
        if self._error is not None:
            raise self._error
        if self.lagged:
            return None
        page = self._pages.popleft()
        self._waiting -= len(page.events)
        self._bytes -= page.size
        if not self._pages:
            self._ready.clear()
        return page

    def offer(self, page: Page) -> None:
        """Keep ``page`` for the follower; one that would hold too much gets no more."""
        self._waiting += len(page.events)
        self._bytes += page.size
        if self._waiting > self._buffer or self._bytes > BUFFER_BYTES:
            self.lagged = True
            self._pages.clear()
            self.leave()
        else:
            self._pages.append(page)
        self._ready.set()

    def fail(self, error: LakefrontError) -> None:
        """End the follower with ``error``."""
        self._error = error
        self._ready.set()

    def leave(self) -> None:
        """Take no more pages; the last one out ends the hub."""
        self._hub.leave(self)


class Hub:
    """The tail of one stream, from ``position`` on, as long as somebody follows."""

    def __init__(self, hubs: "Hubs", key: Stream, position: Offsets) -> None:
        self.position = dict(position)
        self._hubs = hubs
        self._key = key
        self._pages = Pages(hubs.reader, *key)
        self._followers: set[Live] = set()
        self._bell = Bell()
        self._task = asyncio.create_task(self._tail(), name=f"tail of {key[1]}")

    def join(self) -> Live:
        """A place that gets every page after ``position``."""
        live = Live(self, self._hubs.buffer)
        self._followers.add(live)
        return live

    def leave(self, live: Live) -> None:
        """Give the place up."""
        self._followers.discard(live)
        if not self._followers:
            self._hubs.forget(self._key, self)
            self._task.cancel()

    def wake(self) -> None:
        """There may be something new."""
        self._bell.ring()

    def end(self, error: LakefrontError) -> None:
        """End all followers with ``error``, and the hub."""
        for live in list(self._followers):
            live.fail(error)
            self.leave(live)

    async def _tail(self) -> None:
        try:
            while self._followers:  # a cancelled read may end as a lost connection does
                self._bell.quiet()
                if not await self._feed():
                    await self._bell.wait(self._hubs.poll_interval)
        except LakefrontError as error:  # trimmed past the hub without a lake, or the lake is damaged
            self.end(error)
        except Exception:
            log.exception("the tail of %s failed", self._key[1])
            self.end(InternalError())

    async def _feed(self) -> bool:
        """Read a page and hand it to everybody; whether there was one."""
        limit = max(1, min(PAGE, self._hubs.buffer // 4))
        try:
            page = await self._pages.next(self.position, limit=limit)
        except Unavailable:
            return False
        self.position = page.position
        if page.events:
            for live in list(self._followers):
                live.offer(page)
        return bool(page.events)


class Hubs:
    """The hubs of this process, by (tenant, stream)."""

    def __init__(self, reader: Reader, *, buffer: int, poll_interval: float) -> None:
        self.reader = reader
        self.buffer = buffer
        self.poll_interval = poll_interval
        self.closed = False
        self._hubs: dict[Stream, Hub] = {}

    def position(self, key: Stream) -> Offsets | None:
        """Where the stream's hub stands; None if there is none."""
        hub = self._hubs.get(key)
        return None if hub is None else hub.position

    def join(self, key: Stream, position: Offsets) -> Live:
        """A place at the stream's hub; if nobody follows yet, a new one starts at ``position``.

        Raises ``Unavailable`` once the hubs are closed: whoever was reading meanwhile would wait for ever.
        """
        if self.closed:
            raise closing()
        hub = self._hubs.get(key)
        if hub is None:
            hub = self._hubs[key] = Hub(self, key, position)
        return hub.join()

    def forget(self, key: Stream, hub: Hub) -> None:
        """Take ``hub`` off the list."""
        if self._hubs.get(key) is hub:
            del self._hubs[key]

    def wake(self, tenant: str, stream: str) -> None:
        """Something was appended to the stream by this process."""
        if hub := self._hubs.get((tenant, stream)):
            hub.wake()

    def notice(self, payload: str) -> None:
        """Something was appended by any process: ``tenant|stream``."""
        tenant, _, stream = payload.rpartition("|")
        self.wake(tenant, stream)

    def regained(self, connected: bool) -> None:
        """Notices were lost until now: everybody looks."""
        if connected:
            for hub in self._hubs.values():
                hub.wake()

    async def close(self) -> None:
        """End all followers: they go on elsewhere from their cursors."""
        self.closed = True
        for hub in list(self._hubs.values()):
            hub.end(closing())


def closing() -> Unavailable:
    """What a follower is told when its server ends."""
    return Unavailable("The server is shutting down. Subscribe again with after: the last cursor.")
