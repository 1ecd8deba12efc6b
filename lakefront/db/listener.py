"""LISTEN: one connection a process over which other processes' NOTIFYs come in."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import asyncpg

from lakefront.db.database import APP_ROLE, CONNECTION_LOST, connect

log = logging.getLogger(__name__)

OnNotice = Callable[[str], None]
OnChange = Callable[[bool], None]

_BACK_OFF = (0.05, 2.0)
"""Seconds between attempts to connect: the first, and the most it doubles to."""

PROBE = 0.3
"""Seconds between looks whether the connection still answers, and that the answer may take before notices count as
missed: whoever must know of a revocation within a second learns in twice that time that it may not hear of it."""

_GIVE_UP = 5.0
"""Seconds more after which a connection that does not answer is left for a new one."""

DAMPED = 0.2
"""Seconds between two calls back for a channel that is damped."""


class Listener:
    """Calls back on each notice. Register with ``on`` and ``watch``, then ``open``; it reconnects by itself, for ever.

    Callbacks run in the event loop: they must be quick and must not raise. While ``connected`` is false notices are
    lost or late: whoever leans on them must look for themselves, and once more when ``watch`` tells that it is back.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._callbacks: dict[str, list[OnNotice]] = defaultdict(list)
        self._dampers: dict[str, _Damper] = {}
        self._watchers: list[OnChange] = []
        self._runner: asyncio.Task[None] | None = None
        self.connected = False

    def on(self, channel: str, callback: OnNotice) -> None:
        """Call ``callback(str(payload))`` on each notice of ``channel``; to be registered before ``open``."""
        if self._runner is not None:
            raise RuntimeError("Register before the listener is opened.")
        self._callbacks[channel].append(callback)

    def damp(self, *channels: str) -> None:
        """Call back for the first notice of a channel at once, then at most every ``DAMPED`` seconds, with the last.

        For notices that only say that something is void: whoever may connect may send any number of them, and each
        makes every server read anew.
        """
        for channel in channels:
            self._dampers[channel] = _Damper(partial(self._call, channel))

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
        for damper in self._dampers.values():
            damper.close()

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
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), PROBE)
                    break
                await self._probe(connection)
        finally:
            connection.terminate()

    async def _probe(self, connection: "asyncpg.Connection[Any]") -> None:
        """Have the connection answer; raises what it does, ``TimeoutError`` where it hangs for good.

        A late answer is no reason to leave it: notices count as missed until it comes.
        """
        probe = asyncio.create_task(connection.execute("SELECT pg_listening_channels()"))
        try:
            # In two halves: when this process itself was held up the time is over, but the answer may be there.
            for _ in range(2):
                await asyncio.wait([probe], timeout=PROBE / 2)
            if not probe.done():
                log.warning("PostgreSQL does not answer the listener, waiting for it")
                self._change(connected=False)
                await asyncio.wait([probe], timeout=_GIVE_UP)
            if not probe.done():
                raise TimeoutError
            probe.result()
            self._change(connected=True)
        finally:
            if not probe.done():
                connection.terminate()  # which ends the probe
                await asyncio.gather(probe, return_exceptions=True)

    def _dispatch(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        damper = self._dampers.get(channel)
        if damper is None:
            self._call(channel, str(payload))
        else:
            damper.notice(str(payload))

    def _call(self, channel: str, payload: str) -> None:
        for callback in self._callbacks[channel]:
            callback(payload)

    def _change(self, *, connected: bool) -> None:
        if connected != self.connected:
            self.connected = connected
            for callback in self._watchers:
                callback(connected)


class _Damper:
    """Acts on a notice at once, and on all that come in the ``DAMPED`` seconds after that together: none is lost."""

    def __init__(self, act: OnNotice) -> None:
        self._act = act
        self._pause: asyncio.TimerHandle | None = None
        self._last: str | None = None

    def notice(self, payload: str) -> None:
        if self._pause is not None:
            self._last = payload
            return
        self._pause = asyncio.get_running_loop().call_later(DAMPED, self._go_on)
        self._act(payload)

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()

    def _go_on(self) -> None:
        self._pause, last, self._last = None, self._last, None
        if last is not None:
            self.notice(last)
