"""One sealer for each shard across processes: locks of PostgreSQL that end with their holder's connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from lakefront.db.database import APP_ROLE, CONNECTION_LOST, connect
from lakefront.errors import Unavailable

_KEEPALIVE: Final = "SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4"
"""A holder whose machine died without a word loses its locks within 40 s."""

_IDLE: Final = 400.0
"""Seconds of silence after which a holder loses its locks, so that a frozen one (SIGSTOP, a paused machine) does: more
than a sealer waits for an object to be put (PUT_PATIENCE)."""

_PATIENCE: Final = 10.0
"""Seconds for each answer."""

_TAKE: Final = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
_GIVE: Final = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"


class Locks:
    """Locks by name on one connection of their own, which is made when it is first needed and anew after a failure.

    They keep processes out of each other's way, but prove nothing: a lock may be lost while its holder works on.
    """

    def __init__(self, dsn: str, *, idle: float = _IDLE) -> None:
        """``idle``: seconds after which locks are lost when nothing was asked of any."""
        self._dsn = dsn
        self._session = f"{_KEEPALIVE}; SET idle_session_timeout = {round(idle * 1000)}"  # in milliseconds
        self._connection: Any = None
        self._in_turn = asyncio.Lock()

    async def close(self) -> None:
        """Give up the connection, and every lock with it."""
        if self._connection is not None:
            self._connection.terminate()

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[bool]:
        """Hold the lock ``name`` within the block; False if another connection has it. Raises ``Unavailable``.

        To be asked for once at a time: PostgreSQL gives a connection what it holds already.
        """
        try:
            held = bool(await self._ask(_TAKE, name))
        except CONNECTION_LOST as lost:
            raise Unavailable("PostgreSQL, which keeps the sealers apart, is not reachable right now.") from lost
        holding = self._connection
        try:
            yield held
        finally:
            if held and holding is self._connection and not holding.is_closed():
                await self._give(name)

    async def _give(self, name: str) -> None:
        try:
            await self._ask(_GIVE, name)
        except CONNECTION_LOST:
            return  # the lock went with its connection

    async def _ask(self, statement: str, name: str) -> object:
        async with self._in_turn:
            fresh = self._connection is None or self._connection.is_closed()
            if fresh:
                self._connection = await connect(self._dsn, APP_ROLE, command_timeout=_PATIENCE)
            try:
                if fresh:
                    await self._connection.execute(self._session, timeout=_PATIENCE)
                return await self._connection.fetchval(statement, name, timeout=_PATIENCE)
            except BaseException:
                # Whether the lock was taken or given is not known now: with its connection it is surely free.
                self._connection.terminate()
                raise
