"""LISTEN: one connection a process over which other processes' NOTIFYs come in."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import asyncpg

from lakefront.db.database import APP_ROLE, CONNECTION_LOST, connect

log = logging.getLogger(__name__)

OnNotice = Callable[[str], None]
OnChange = Callable[[bool], None]

_BACK_OFF = (0.05, 2.0)
"""Seconds between attempts to connect: the first, and the most it doubles to."""

_PROBE = 10.0
"""Seconds between looks whether the connection still answers, and that the answer may take."""


class Listener:
    """Calls back on each notice. Register with ``on`` and ``watch``, then ``open``; it reconnects by itself, for ever.

    Callbacks run in the event loop: they must be quick and must not raise. While ``connected`` is false notices are
    lost: whoever leans on them must look for themselves, and once more when ``watch`` tells that it is back.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._callbacks: dict[str, list[OnNotice]] = defaultdict(list)
        self._watchers: list[OnChange] = []
        self._runner: asyncio.Task[None] | None = None
        self.connected = False

    def on(self, channel: str, callback: OnNotice) -> None:
        """Call ``callback(str(payload))`` on each notice of ``channel``; to be registered before ``open``."""
        if self._runner is not None:
            raise RuntimeError("Register before the listener is opened.")
        self._callbacks[channel].append(callback)

    def watch(self, callback: OnChange) -> None:
        """Call ``callback(connected)`` whenever the connection was lost or is back."""
        self._watchers.append(callback)

    async def open(self) -> None:
        """Start listening; returns at once, the connection follows."""
        self._runner = asyncio.create_task(self._run(), name="listener")

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)

    async def _run(self) -> None:
        pause = _BACK_OFF[0]
        while True:
            try:
                await self._listen()
            except (*CONNECTION_LOST, asyncpg.PostgresError) as lost:
                # Whatever PostgreSQL refuses now (its database is being restored, say) it may grant later.
                log.warning("not listening to PostgreSQL (%s), trying again", type(lost).__name__)
            pause = _BACK_OFF[0] if self.connected else min(pause * 2, _BACK_OFF[1])
            self._change(connected=False)
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        """Listen until the connection is lost."""
        connection = await connect(self._dsn, APP_ROLE)
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            for channel in self._callbacks:
                await connection.add_listener(channel, self._dispatch)
            self._change(connected=True)
            while not ended.is_set():
                try:
                    await asyncio.wait_for(ended.wait(), _PROBE)
                except TimeoutError:
                    await connection.fetchval("SELECT 1", timeout=_PROBE)
        finally:
            connection.terminate()

    def _dispatch(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        for callback in self._callbacks[channel]:
            callback(str(payload))

    def _change(self, *, connected: bool) -> None:
        if connected != self.connected:
            self.connected = connected
            for callback in self._watchers:
                callback(connected)
