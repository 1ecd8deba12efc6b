"""One sealer for each shard across processes: locks of PostgreSQL that end with their holder's connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from lakefront.db.database import APP_ROLE, CONNECTION_LOST, connect
from lakefront.errors import Unavailable

_KEEPALIVE: Final = "SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4"
"""A holder whose machine died without a word loses its locks within 40 s."""

_TAKE: Final = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
_GIVE: Final = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"


class Locks:
    """Locks by name on one connection of their own, which is made when it is first needed and anew after a failure.

    They keep processes out of each other's way, but prove nothing: a lock may be lost while its holder works on.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
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
        try:
            yield held
        finally:
            if held:
                await self._give(name)

    async def _give(self, name: str) -> None:
        try:
            await self._ask(_GIVE, name)
        except CONNECTION_LOST:
            return  # the lock went with its connection

    async def _ask(self, statement: str, name: str) -> object:
        async with self._in_turn:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._dsn, APP_ROLE)
                await self._connection.execute(_KEEPALIVE)
            try:
                return await self._connection.fetchval(statement, name, timeout=10)
            except BaseException:
                # Whether the lock was taken or given is not known now: with its connection it is surely free.
                self._connection.terminate()
                raise
