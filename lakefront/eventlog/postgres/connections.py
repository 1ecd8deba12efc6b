"""The appender's few connections, under the role that owns the log's three tables: whatever failed is thrown away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from lakefront.db.database import APPENDER_ROLE, CONNECTION_LOST, connect, write_failed
from lakefront.errors import Unavailable

AppenderConnection: TypeAlias = "asyncpg.Connection[Any]"

LONGEST_TRANSACTION = 30.0
"""Seconds after which an append is given up: a PostgreSQL that answers nothing must not hold callers for ever."""

_AWAY = (
    *CONNECTION_LOST,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""Also a statement that timed out, a full disk, and a standby that was taken for the primary."""

_BACK_OFF = (0.05, 2.0)
"""Seconds between attempts to connect: the first, and the most it doubles to."""

_SESSION = """
SET idle_in_transaction_session_timeout = '10s';
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan
"""
# A process that stops in the middle of a transaction must not keep the heads locked for the others. And a plan made
# while a young generation of keys was empty would go on scanning it when it is large.


class Connections:
    """At most ``size`` connections; raises ``Unavailable`` while PostgreSQL is away, at once while it backs off."""

    def __init__(self, dsn: str, *, size: int = 4) -> None:
        self._dsn = dsn
        self._idle: list[AppenderConnection] = []
        self._free = asyncio.Semaphore(size)
        self._pause = 0.0
        self._not_before = 0.0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[AppenderConnection]:
        """A connection outside any transaction; an exception or a cancellation in the block discards it."""
        async with self._free:
            connection = await self._take()
            try:
                async with asyncio.timeout(LONGEST_TRANSACTION) as clock, _ending_with(connection, clock):
                    yield connection
            except BaseException as failure:
                lost = isinstance(failure, _AWAY) or write_failed(connection, failure)
                connection.terminate()
                if lost:
                    raise _away() from failure
                raise
            if connection.is_in_transaction():
                connection.terminate()
            else:
                self._idle.append(connection)

    async def close(self) -> None:
        """Close what is idle; what is in use is discarded by its user."""
        while self._idle:
            self._idle.pop().terminate()

    async def _take(self) -> AppenderConnection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        now = asyncio.get_running_loop().time()
        if now < self._not_before:
            raise _away()
        try:
            connection = await connect(self._dsn, APPENDER_ROLE, statement_timeout=LONGEST_TRANSACTION)
            await _prepare(connection)
        except (*_AWAY, asyncpg.PostgresError) as lost:
            self._pause = min(max(self._pause * 2, _BACK_OFF[0]), _BACK_OFF[1])
            self._not_before = now + self._pause
            raise _away() from lost
        self._pause = 0.0
        return connection


@asynccontextmanager
async def _ending_with(connection: AppenderConnection, clock: asyncio.Timeout) -> AsyncIterator[None]:
    """Let ``clock`` run out when the connection is lost: a COPY that waits for room to write would wait for ever."""
    inside = True

    def lost(_: object) -> None:
        if inside and not clock.expired():
            clock.reschedule(asyncio.get_running_loop().time())

    connection.add_termination_listener(lost)
    try:
        yield
    finally:
        inside = False
        connection.remove_termination_listener(lost)


async def _prepare(connection: AppenderConnection) -> None:
    try:
        await connection.set_type_codec("uuid", schema="pg_catalog", encoder=_same, decoder=_same, format="binary")
        await connection.execute(_SESSION)
    except BaseException:
        connection.terminate()
        raise


def _same(data: bytes) -> bytes:
    return data


def _away() -> Unavailable:
    return Unavailable("The log is not reachable right now. Send the request again: what is stored is found by its id.")
