"""The log on PostgreSQL: appends under one role, reads under another, followers fed from one tail."""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from lakefront.actor import Actor
from lakefront.db.database import APPENDER_ROLE, CONNECTION_LOST, READING_THE_LOG, Database, connect
from lakefront.db.listener import Listener
from lakefront.errors import Unavailable
from lakefront.eventlog.events import Appended, NewEvent, Offsets, Page
from lakefront.eventlog.lake.history import History
from lakefront.eventlog.postgres import keys, trim
from lakefront.eventlog.postgres.append import CHANNEL, Appender
from lakefront.eventlog.postgres.connections import Connections
from lakefront.eventlog.postgres.follow import Following
from lakefront.eventlog.postgres.group import GroupCommit
from lakefront.eventlog.postgres.hub import Hubs
from lakefront.eventlog.postgres.read import Reader

MERGING = 3600.0
"""Seconds that one statement of ``maintain`` may take: it copies a month's keys."""


class PostgresLog:
    """``EventLog`` on PostgreSQL (DESIGN.md, "An event's life"). ``open`` it before use; it may be opened once.

    ``listener`` tells of other servers' appends and belongs to the caller; without one they are seen every
    ``poll_interval`` seconds. ``history`` reads what was trimmed; without one, such a position is ``CursorExpired``.
    ``consumers``: who must have taken in what is trimmed of a stream (name -> consumers), begun or not.
    ``shards`` tells how many a new stream gets, ``today`` is the clock by which generations of keys are cut.
    """

    def __init__(
        self,
        dsn: str,
        *,
        shards: Callable[[str], int] = lambda _: 2,
        group_rows: int = 5000,
        follower_buffer: int = 10_000,
        poll_interval: float = 1.0,
        listener: Listener | None = None,
        history: History | None = None,
        consumers: Mapping[str, Collection[str]] = MappingProxyType({}),
        today: keys.Today = keys.today,
    ) -> None:
        self._dsn = dsn
        self._consumers = consumers
        self._connections = Connections(dsn)
        self._database = Database(dsn, pool_size=4, planner=READING_THE_LOG)
        self._reader = Reader(self._database, history)
        self._hubs = Hubs(self._reader, buffer=follower_buffer, poll_interval=poll_interval)
        appender = Appender(self._connections, shards=shards, today=today)
        self._group = GroupCommit(appender, rows=group_rows, committed=self._hubs.wake)
        if listener is not None:
            listener.on(CHANNEL, self._hubs.notice)
            listener.watch(self._hubs.regained)

    async def open(self) -> None:
        """Make ready; connections come when they are needed, so that PostgreSQL may still be starting."""
        await self._database.open()

    async def close(self) -> None:
        """Finish the appends that are queued, end the followers, close all connections."""
        await self._group.close()
        await self._hubs.close()
        await self._connections.close()
        await self._database.close()

    async def append(
        self, actor: Actor, stream: str, events: Sequence[NewEvent], *, atomic: bool = False
    ) -> list[Appended]:
        """See ``EventLog.append``. Raises ``ValidationError`` on an event that PostgreSQL cannot hold."""
        return await self._group.append(actor.tenant, stream, events, atomic=atomic)

    async def preview(self, actor: Actor, stream: str, events: Sequence[NewEvent]) -> list[Appended]:
        """See ``EventLog.preview``."""
        return await self._group.preview(actor.tenant, stream, events)

    def appending(self) -> bool:
        """Whether this process has appends under way."""
        return self._group.busy()

    async def read(
        self, actor: Actor, stream: str, after: Offsets, *, limit: int = 1000, until: Offsets | None = None
    ) -> Page:
        """See ``EventLog.read``; a page may hold fewer than ``limit`` before the end."""
        return await self._reader.page(actor.tenant, stream, after, limit=limit, until=until)

    async def head(self, actor: Actor, stream: str) -> dict[int, int]:
        """See ``EventLog.head``."""
        return await self._reader.head(actor.tenant, stream)

    def follow(self, actor: Actor, stream: str, after: Offsets | None, *, heartbeat: float | None = None) -> Following:
        """See ``EventLog.follow``. Raises ``CursorExpired`` on a position beyond the stream's end."""
        return Following(self._hubs, actor.tenant, stream, after, heartbeat)

    async def trim(self, actor: Actor, stream: str, first: Mapping[int, int]) -> int:
        """Forget the events before ``first`` (shard -> offset) here, as the lake has them; how many. See ``trim``."""
        consumers = self._consumers.get(stream, ())
        return await trim.trim(self._connections, self._database, actor.tenant, stream, first, consumers=consumers)

    async def maintain(self) -> None:
        """Merge the keys of past months, if that is due; call it now and then (an hour apart, say), from any server.

        Raises ``Unavailable`` when PostgreSQL is away; nothing is changed then.
        """
        try:
            connection = await connect(self._dsn, APPENDER_ROLE, command_timeout=MERGING)
            try:
                await keys.merge(connection)
            finally:
                connection.terminate()
        except CONNECTION_LOST as lost:
            raise Unavailable("The log is not reachable right now. Its keys are merged the next time.") from lost
