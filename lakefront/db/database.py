"""The application's doors to PostgreSQL: asyncpg pools, under the role that owns nothing where no other is named."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from types import MappingProxyType, TracebackType
from typing import Any

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import ClauseElement, Select

from lakefront.db.statement import Statement, as_tenant, compile_statement
from lakefront.errors import Unavailable

log = logging.getLogger(__name__)

APP_ROLE = "lakefront_app"
APPENDER_ROLE = "lakefront_appender"
PROVISIONER_ROLE = "lakefront_provisioner"
VIEWS_ROLE = "lakefront_views"

READING_THE_LOG: Mapping[str, str] = MappingProxyType({"enable_sort": "off"})
"""For pools that read the log in order of offset. Its primary key gives that order; a planner without statistics (a new
database) thinks another index as good and sorts what it gives, which is the whole stream for every page."""

STATEMENT_TIMEOUT = 30.0
"""Seconds that PostgreSQL works on a statement, where nobody says otherwise."""

SLACK = 5.0
"""Seconds after a statement's time is up within which PostgreSQL must have said so: if not, its host is gone."""

WAITING = 10.0
"""Seconds that somebody waits for a connection."""

CLOSING = 3.0
"""Seconds that the connections have to say good-bye."""

_NO_HURRY = 86_400.0
"""Seconds for a command of a transaction without a clock: asyncpg knows no way to say "for ever" for one command."""

_AS = "SELECT set_config('lakefront.tenant', $1, true), set_config('lakefront.subject', $2, true)"

Row = dict[str, Any]

CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection whose end arrived while it was idle answers the next statement so
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    OSError,
    TimeoutError,
)
"""What asyncpg raises when PostgreSQL is away, restarting, full or overloaded: answered with 503."""


def write_failed(connection: Any, failure: BaseException) -> bool:
    """Whether ``failure`` is uvloop's word, a bare RuntimeError, for a write to a connection that was just lost."""
    return isinstance(failure, RuntimeError) and bool(connection.is_closed())


async def connect(
    dsn: str, role: str, *, statement_timeout: float | None = None, command_timeout: float | None = None
) -> "asyncpg.Connection[Any]":
    """One connection under ``role`` with our codecs. Raises what asyncpg raises, ``TimeoutError`` included.

    ``statement_timeout``: seconds that PostgreSQL works on a statement, as long as it likes if None.
    ``command_timeout``: seconds after which a command raises ``TimeoutError``, as a host that vanished never answers;
    a little more than the statement's time if None. Terminate the connection then.
    """
    if command_timeout is None:
        command_timeout = (STATEMENT_TIMEOUT if statement_timeout is None else statement_timeout) + SLACK
    settings = _server_settings(role, statement_timeout)
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=command_timeout, server_settings=settings)
    try:
        await _codecs(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _server_settings(role: str, statement_timeout: float | None) -> dict[str, str]:
    settings = {"role": role, "timezone": "UTC", "jit": "off", "application_name": "lakefront"}
    if statement_timeout is not None:
        settings["statement_timeout"] = str(int(statement_timeout * 1000))
    return settings


async def _codecs(connection: Any) -> None:
    # json: the bytes as they are; jsonb: JSON text in, parsed values out. Binary, since COPY takes nothing else.
    await connection.set_type_codec("json", schema="pg_catalog", encoder=_same, decoder=_same, format="binary")
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_to_jsonb, decoder=_from_jsonb, format="binary"
    )


def _same(data: bytes) -> bytes:
    return data


def _to_jsonb(text: bytes) -> bytes:
    return b"\x01" + text


def _from_jsonb(data: bytes) -> Any:
    return orjson.loads(data[1:])


class Database:
    """Reads and writes of the application, each as one tenant; raises ``Unavailable`` when PostgreSQL is away."""

    def __init__(
        self,
        dsn: str,
        *,
        pool_size: int = 10,
        statement_timeout: float = STATEMENT_TIMEOUT,
        planner: Mapping[str, str] = MappingProxyType({}),
        role: str = APP_ROLE,
    ) -> None:
        """``statement_timeout`` in seconds; ``planner`` are PostgreSQL settings; the pool opens with ``open``."""
        self.dsn = dsn
        self._pool: asyncpg.Pool[Any] = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=pool_size,
            timeout=10,
            command_timeout=statement_timeout + SLACK,
            max_inactive_connection_lifetime=0,
            init=_codecs,
            reset=self._reset,
            server_settings=_server_settings(role, statement_timeout) | dict(planner),
        )
        self._kept: list[PoolConnectionProxy[Any]] = []
        self._unsettled: set[int] = set()
        self._held = 0
        """Connections that are in use or kept: the pool's others are its own."""
        self._waiters: deque[asyncio.Future[PoolConnectionProxy[Any] | None]] = deque()
        self._closing = False

    async def open(self) -> None:
        """Make the pool ready; connections come when they are needed."""
        await self._pool

    async def close(self) -> None:
        """Close all connections: what is still in use, or broken, after ``CLOSING`` seconds at most is cut off.

        Whoever uses one then is told ``Unavailable``.
        """
        self._closing = True  # what is in use now goes back to the pool, which waits for it
        try:
            async with asyncio.timeout(CLOSING):
                while self._kept:
                    await self._release(self._kept.pop())
                await self._pool.close()
        except (*CONNECTION_LOST, RuntimeError) as lost:  # RuntimeError: uvloop's, as in ``write_failed``
            log.info("Not every connection to PostgreSQL said good-bye (%r): asyncpg cut off what was left.", lost)

    @property
    def pool_size(self) -> int:
        """How many connections there may be."""
        return self._pool.get_max_size()

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many are open."""
        opened = self._pool.get_size()
        return opened - self._pool.get_idle_size() - len(self._kept), opened

    async def rows(self, tenant: str, statement: Select[Any], *, subject: str | None = None) -> list[Row]:
        """All rows of ``statement`` as ``tenant`` sees them, values in PostgreSQL's JSON forms.

        With ``subject`` tables that have an owner show the rows of that subject alone.
        """
        return await self.bound_rows(as_tenant(tenant, statement, subject=subject))

    async def bound_rows(self, statement: Statement) -> list[Row]:
        """All rows of a ``template_as_tenant`` that was bound."""
        rows: list[Row] = orjson.loads(await self.text(statement.sql, *statement.values))
        return rows

    async def text(self, sql: str, *values: Any) -> bytes:
        """The JSON text that ``sql`` answers, as it comes; ``sql`` names its tenant itself, as ``as_tenant`` does."""
        text: bytes = await self.value(sql, *values)
        return text

    async def value(self, sql: str, *values: Any) -> Any:
        """The one value that ``sql`` answers: JSON as bytes, or a list of them; it names its tenant itself."""
        async with self._connection() as connection:
            value = await connection.fetchval(sql, *values)
        if value is None:
            raise Unavailable("The tenant could not be set. Send the request again.")
        return value

    @asynccontextmanager
    async def transaction(self, tenant: str, *, subject: str = "", hurry: bool = True) -> AsyncIterator["Transaction"]:
        """One transaction as ``tenant``; committed at the end of the block, rolled back when it raises.

        With ``subject`` tables that have an owner show and take the rows of that subject alone. Without ``hurry`` its
        statements may take as long as they like. A COMMIT for whose notices PostgreSQL has no room is ``Unavailable``.
        """
        committing = False
        try:
            async with self._connection() as connection, connection.transaction():
                with _given_up(connection):  # within the transaction, which would wait for its rollback as long again
                    await connection.execute(_AS, tenant, subject)
                    if not hurry:
                        await connection.execute("SET LOCAL statement_timeout = 0")
                    yield Transaction(connection, timeout=None if hurry else _NO_HURRY)
                    committing = True
        except asyncpg.ProgramLimitExceededError as full:
            if committing:
                raise _away() from full
            raise

    async def ping(self) -> None:
        """Return if PostgreSQL answers; raises ``Unavailable`` otherwise."""
        async with self._connection() as connection:
            await connection.fetchval("SELECT 1")

    def _connection(self) -> "AbstractAsyncContextManager[PoolConnectionProxy[Any]]":
        return _Lease(self)

    async def _acquire(self) -> "PoolConnectionProxy[Any]":
        """A connection that was used before, without a word to the pool (whose taking and giving back cost a task)."""
        while True:
            while self._kept:
                connection = self._kept.pop()
                if _open(connection):
                    return connection
                await self._release(connection)
            if self._held < self._pool.get_max_size():
                return await self._take()
            handed = await self._wait()
            if handed is not None:
                return handed

    async def _take(self) -> "PoolConnectionProxy[Any]":
        self._held += 1
        try:
            return await self._pool.acquire(timeout=WAITING)
        except BaseException:
            self._held -= 1
            self._hand_over(None)
            raise

    async def _wait(self) -> "PoolConnectionProxy[Any] | None":
        """A connection that somebody else is done with; ``None``: one more may be taken from the pool."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[PoolConnectionProxy[Any] | None] = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_later(WAITING, _too_late, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            # Both may have come at once: a connection, or the end of its patience, and this.
            if not waiter.cancelled() and waiter.exception() is None:
                await self._pass_on(waiter.result())
            raise
        finally:
            timer.cancel()

    def _hand_over(self, connection: "PoolConnectionProxy[Any] | None") -> None:
        """To whoever waits longest; kept for the next one if nobody does."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is not None:
            self._kept.append(connection)

    async def _pass_on(self, connection: "PoolConnectionProxy[Any] | None") -> None:
        """What its user is done with, or was handed and has no use for."""
        if connection is not None and (self._closing or not _open(connection) or connection.is_in_transaction()):
            await self._release(connection)
        else:
            self._hand_over(connection)

    async def _release(self, connection: "PoolConnectionProxy[Any]", *, unsettled: bool = False) -> None:
        """Have the pool clean up, or throw away, whatever it was."""
        if unsettled and _open(connection):
            self._unsettled.add(connection.get_server_pid())
        try:
            await self._pool.release(connection, timeout=WAITING)
        finally:
            self._held -= 1
            self._hand_over(None)

    async def _reset(self, connection: Any) -> None:
        """Instead of the pool's reset query: nothing of ours outlives a transaction; an open one is thrown away.

        asyncpg prepares without ending the exchange. What was prepared and never ran (its caller went away, a value
        could not be sent) keeps PostgreSQL's clock running, which would cancel what comes next: a small query ends it.
        """
        unsettled = connection.get_server_pid() in self._unsettled
        self._unsettled.discard(connection.get_server_pid())
        if connection.is_in_transaction():
            connection.terminate()
        elif unsettled:
            try:
                await connection.execute("SELECT")
            except CONNECTION_LOST:
                connection.terminate()


class _Lease:
    """As a block: a connection for it. Raises ``Unavailable`` where PostgreSQL is away."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: PoolConnectionProxy[Any]

    async def __aenter__(self) -> "PoolConnectionProxy[Any]":
        try:
            self._connection = await self._database._acquire()  # noqa: SLF001 - the two classes are one thing
        except CONNECTION_LOST as why:
            raise _away() from why
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        database, connection = self._database, self._connection
        lost = error is not None and (isinstance(error, CONNECTION_LOST) or write_failed(connection, error))
        try:
            if error is None:
                await database._pass_on(connection)  # noqa: SLF001
            else:
                if isinstance(error, TimeoutError):
                    connection.terminate()  # the pool would wait to cancel what had no answer in time
                await database._release(connection, unsettled=True)  # noqa: SLF001
        except CONNECTION_LOST as why:
            if error is None or isinstance(error, Exception):  # whoever was cancelled is told of that alone
                raise _away() from why
        if lost:
            raise _away() from error


def _open(connection: "PoolConnectionProxy[Any]") -> bool:
    """Whether ``connection`` is there: the pool takes one back by itself whose backend ended."""
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False


@contextmanager
def _given_up(connection: "PoolConnectionProxy[Any]") -> Iterator[None]:
    """Terminate ``connection`` when a command has had no answer in time: the pool would wait to cancel it."""
    try:
        yield
    except TimeoutError:
        connection.terminate()
        raise


def _too_late(waiter: "asyncio.Future[PoolConnectionProxy[Any] | None]") -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


def _away() -> Unavailable:
    return Unavailable("The database is not reachable right now. Send the request again in a moment.")


class Transaction:
    """A transaction that knows its tenant: Core statements or plain SQL."""

    def __init__(self, connection: "PoolConnectionProxy[Any]", *, timeout: float | None = None) -> None:
        """``timeout``: seconds for each statement, the connection's own if None."""
        self.connection = connection
        self._timeout = timeout

    async def fetch(self, statement: ClauseElement | str, *values: Any) -> list[Any]:
        """The rows of ``statement``: asyncpg records."""
        sql, bound = self._text(statement, values)
        rows: list[Any] = await self.connection.fetch(sql, *bound, timeout=self._timeout)
        return rows

    async def execute(self, statement: ClauseElement | str, *values: Any) -> None:
        """Run ``statement`` for its effect."""
        sql, bound = self._text(statement, values)
        await self.connection.fetch(sql, *bound, timeout=self._timeout)

    @staticmethod
    def _text(statement: ClauseElement | str, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        return (statement, values) if isinstance(statement, str) else compile_statement(statement)
