"""GraphQL over WebSocket: the state machine of ``graphql-transport-ws``, and of no other subprotocol.

A socket belongs to one actor from ``connection_ack`` on and lives no longer than the actor's token. Every operation has
a task and a context of its own; what a slow client does not take, it holds up, and nothing else.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from lakefront.actor import Actor
from lakefront.domain.documents import Documents
from lakefront.errors import InternalError, LakefrontError, RateLimited
from lakefront.graphql.answers import Answer, encode, refused
from lakefront.graphql.operation import Operation
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.errors import format_error, log_unforeseen
from lakefront.graphql.sharing.seat import Outlet
from lakefront.server.credentials import Credentials
from lakefront.server.documents import with_document
from lakefront.server.frames import FRAMES, Frames
from lakefront.server.limits import Meter, meter_of
from lakefront.server.responses import refusal
from lakefront.server.socket_messages import (
    NO_CODE,
    SUBPROTOCOL,
    TOLD_CODES,
    Close,
    CloseSocket,
    Complete,
    Init,
    Message,
    Ping,
    Subscribe,
    read_message,
)
from lakefront.server.socket_outlet import outlet
from lakefront.server.token_watch import Authenticate, TokenWatch
from lakefront.server.unsent import while_taken
from lakefront.settings import MIB, Settings
from lakefront.tracing import new_trace_id

CLOSE_TIMEOUT: Final = 1.0
"""Seconds that a close frame may wait for a client that takes nothing."""

CANCEL_TIMEOUT: Final = 5.0
"""Seconds that a cancelled operation may take to let go before the next message is read."""

MAX_HELD: Final = 4 * MIB
"""Bytes of documents and variables that the operations of one socket may hold together."""

MAX_REASON: Final = 120
"""Bytes of a close frame's reason (RFC 6455 allows 123)."""

_log = logging.getLogger("lakefront.server.socket")


class GraphQLSocket:
    """The ASGI application behind ``/graphql`` for WebSocket."""

    def __init__(
        self,
        operations: Operations,
        authenticate: Authenticate,
        settings: Settings,
        documents: Documents | None = None,
    ) -> None:
        """``documents`` are shared with the other doors; by default none is known until it is registered."""
        self._operations = operations
        self._authenticate = authenticate
        self._settings = settings
        self._documents = documents or Documents()
        self._connections: set[_Connection] = set()
        self.closes: Counter[str] = Counter()
        """How many sockets closed with each code, whichever side said it; "other": with one of the client's own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until it closes; never raises for what a client does."""
        if (await receive())["type"] != "websocket.connect":
            return
        trace_id = new_trace_id()
        try:
            credentials = Credentials.of_headers(scope["headers"])
        except LakefrontError as error:
            _log.info("request refused trace_id=%s code=%s status=%d", trace_id, error.code, error.status)
            await refusal(scope, error, trace_id)(scope, receive, send)
            return
        if SUBPROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            reason = f"Only the subprotocol {SUBPROTOCOL} is served"
            await send({"type": "websocket.close", "code": Close.SUBPROTOCOL_NOT_ACCEPTABLE, "reason": reason})
            self._count(Close.SUBPROTOCOL_NOT_ACCEPTABLE)
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        connection = _Connection(
            *(self._operations, self._authenticate, self._settings, self._documents, credentials, meter_of(scope)),
            *(receive, send, scope["extensions"].get(FRAMES), trace_id, self._connections),
        )
        self._connections.add(connection)
        try:
            self._count(await connection.serve())
        finally:
            self._connections.discard(connection)

    def _count(self, code: int) -> None:
        self.closes[str(code) if code in TOLD_CODES else "other"] += 1

    @property
    def open(self) -> int:
        """How many sockets are open."""
        return len(self._connections)

    def look_again(self) -> None:
        """Close (4403) the sockets whose tokens do not hold any more."""
        for connection in list(self._connections):
            connection.look_again()


@dataclass(slots=True)
class _Running:
    """An operation under way, and the bytes of the message that asked for it."""

    task: asyncio.Task[None]
    size: int
    operation: Operation | None = None


class _Connection:
    """One socket: a reader, one task for each operation, and one place that decides about the end."""

    def __init__(
        self,
        operations: Operations,
        authenticate: Authenticate,
        settings: Settings,
        documents: Documents,
        credentials: Credentials,
        meter: Meter,
        receive: Receive,
        send: Send,
        frames: Frames | None,
        trace_id: str,
        all_open: "set[_Connection]",
    ) -> None:
        self._operations = operations
        self._authenticate = authenticate
        self._settings = settings
        self._documents = documents
        self._handshake = credentials
        self._meter = meter
        self._receive = receive
        self._asgi_send = send
        self._frames = frames
        self._trace_id = trace_id
        self._all_open = all_open
        self._sending = asyncio.Lock()
        self._watch: TokenWatch | None = None
        self._init_seen = False
        self._left_with = NO_CODE
        self._running: dict[str, _Running] = {}
        self._end: asyncio.Future[CloseSocket | None] = asyncio.get_running_loop().create_future()

    @property
    def who(self) -> tuple[str, str] | None:
        """The tenant and subject that signed in, if anybody did yet."""
        return _who(self._watch.actor) if self._watch is not None else None

    async def serve(self) -> int:
        """Read and answer until the client leaves or the socket must close, with which code; leaves no task behind."""
        late = asyncio.get_running_loop().call_later(self._settings.socket_init_timeout, self._init_is_late)
        reader = asyncio.create_task(self._read())
        try:
            end = await self._end
        finally:
            late.cancel()
            tasks = [reader, *(operation.task for operation in self._running.values())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._watch is not None:
                await self._watch.close()
        if end is None:
            return self._left_with
        _log.info("socket closed trace_id=%s code=%d", self._trace_id, end.code)
        await self._close(end)
        return end.code

    def stop(self, code: Close, reason: str) -> None:
        """Close the socket with ``code`` unless it is ending already."""
        self._finish(CloseSocket(code, reason))

    def _finish(self, end: CloseSocket | None) -> None:
        if not self._end.done():
            self._end.set_result(end)

    async def _close(self, end: CloseSocket) -> None:
        reason = end.reason.encode()[:MAX_REASON].decode(errors="ignore")
        # A client that takes nothing does not get to hold the socket open.
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._asgi_send({"type": "websocket.close", "code": int(end.code), "reason": reason})

    async def _read(self) -> None:
        """Take messages one by one; the next is read only when the last is dealt with."""
        try:
            while (event := await self._receive())["type"] == "websocket.receive":
                depth = self._settings.graphql_max_variables_depth
                await self._take(read_message(event.get("text"), max_depth=depth))
            self._left_with = event["code"]
            self._finish(None)
        except CloseSocket as end:
            self._finish(end)
        except Exception as error:  # noqa: BLE001 - told as 1011, logged with its traceback
            log_unforeseen(error, self._trace_id)
            self.stop(Close.INTERNAL, "Internal error")

    async def _take(self, message: Message) -> None:
        match message:
            case Init():
                await self._initialise(message)
            case Ping(payload):
                await self._send({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
            case Subscribe():
                await self._subscribe(message)
            case Complete(id=name):
                await self._cancel(name)

    async def _initialise(self, message: Init) -> None:
        if self._init_seen:
            raise CloseSocket(Close.TOO_MANY_INITS, "Too many initialisation requests")
        self._init_seen = True
        credentials = message.credentials(self._handshake)
        try:
            actor = await self._meter.sign_in(credentials, self._authenticate)
            await self._meter.count(actor)
            self._require_room(actor)
        except LakefrontError as error:
            if error.status >= 500 or isinstance(error, RateLimited):
                raise CloseSocket(Close.TRY_AGAIN_LATER, error.message) from None
            raise CloseSocket(Close.FORBIDDEN, f"Forbidden: {error.message}") from None
        self._watch = TokenWatch(self._authenticate, credentials, actor, self._forbid, self._renew, self._trace_id)
        await self._send({"type": "connection_ack"})

    def _require_room(self, actor: Actor) -> None:
        """Raises ``RateLimited`` if the actor has too many sockets."""
        most, who = self._settings.sockets, _who(actor)
        if sum(connection.who == who for connection in self._all_open) >= most:
            raise RateLimited(f"At most {most} WebSockets of one user are open at once. Close one.")

    async def _subscribe(self, message: Subscribe) -> None:
        if self._watch is None:
            raise CloseSocket(Close.UNAUTHORIZED, "Unauthorized: send connection_init and wait for connection_ack")
        if message.id in self._running:
            raise CloseSocket(Close.DUPLICATE_ID, f"Subscriber for {message.id} already exists")
        limit = self._settings.socket_operations
        held = sum(operation.size for operation in self._running.values())
        if len(self._running) >= limit or (self._running and held + message.size > MAX_HELD):
            room = f"{limit} operations run at once on one socket, and {MAX_HELD // MIB} MiB of their text"
            error = RateLimited(f"At most {room}. Complete one first.")
            await self._send(_error(message.id, error, new_trace_id()))
            return
        task = asyncio.create_task(self._run(message, self._watch))
        self._running[message.id] = _Running(task, message.size)

    async def _cancel(self, name: str) -> None:
        operation = self._running.pop(name, None)
        if operation is not None:
            operation.task.cancel()
            # Its source is closed before the next message is read: cancelling in a loop piles nothing up.
            await asyncio.wait([operation.task], timeout=CANCEL_TIMEOUT)

    async def _run(self, message: Subscribe, watch: TokenWatch) -> None:
        """One operation, from its first answer to ``complete`` or ``error``."""
        trace_id = new_trace_id()
        last: dict[str, Any] = {"id": message.id, "type": "complete"}
        prefix = b'{"id":%b,"type":"next","payload":' % encode(message.id)
        try:
            async with aclosing(self._answers(message, watch, trace_id, self._outlet(prefix))) as answers:
                async for answer in answers:
                    if not answer.executed:
                        last = {"id": message.id, "type": "error", "payload": answer.errors}
                        break
                    await self._send_text(prefix + answer.encode() + b"}")
        except CloseSocket as end:
            self._finish(end)
            return
        except Exception as error:  # noqa: BLE001 - told as masked, logged with its traceback
            log_unforeseen(error, trace_id)
            last = _error(message.id, InternalError(), trace_id)
        running = self._running.get(message.id)
        if running is None or running.task is not asyncio.current_task():
            return
        # The id is free as soon as the client can know it.
        del self._running[message.id]
        try:
            await self._send(last)
        except CloseSocket as end:
            self._finish(end)

    def _outlet(self, prefix: bytes) -> Outlet | None:
        if self._frames is None:
            return None
        return outlet(self._frames, prefix, lambda: self._sending.locked() or self._end.done())

    async def _answers(
        self, message: Subscribe, watch: TokenWatch, trace_id: str, outlet: Outlet | None
    ) -> AsyncGenerator[Answer]:
        """Counts as a request does that comes by HTTP, whatever it is; its events do not."""
        try:
            self._meter.check(watch.actor)
            request = await with_document(self._documents, message.request, watch.actor, trace_id)
            operation = (
                request if isinstance(request, Answer) else self._operations.prepare(request, watch.actor, trace_id)
            )
            if not isinstance(operation, Answer):
                self._running[message.id].operation = operation  # from here on it hears of other rights
            await self._meter.count_operation(watch.actor, operation)
        except RateLimited as error:
            operation = refused(error, trace_id)
        if isinstance(operation, Answer):
            yield operation
            return
        await self._documents.keep(watch.actor, message.request.document, message.request.sha256)
        async with aclosing(self._operations.follow(operation, outlet)) as answers:
            async for answer in answers:
                yield answer

    async def _send(self, message: dict[str, Any]) -> None:
        """Send one message when the client takes it; raises ``CloseSocket`` when it takes nothing for too long."""
        await self._send_text(encode(message))

    async def _send_text(self, text: bytes) -> None:
        async with self._sending:
            try:
                async with self._patience():
                    await self._asgi_send({"type": "websocket.send", "text": text.decode()})
            except TimeoutError:
                raise CloseSocket(Close.TRY_AGAIN_LATER, "The client does not read what it asked for") from None
            except OSError:
                # The client has left; the reader learns it, too.
                self._finish(None)

    def _patience(self) -> AbstractAsyncContextManager[None]:
        """For a block that sends: ``TimeoutError`` when the client takes nothing for too long."""
        frames = self._frames
        if frames is not None and frames.is_writable():
            return nullcontext()  # it is sent without waiting
        return while_taken(frames.unsent if frames is not None else lambda: 0, self._settings.socket_send_timeout)

    def _init_is_late(self) -> None:
        if self._watch is None:
            self.stop(Close.INIT_TIMEOUT, "Connection initialisation timeout")

    def _forbid(self, error: LakefrontError) -> None:
        self.stop(Close.FORBIDDEN, f"Forbidden: {error.message}")

    async def _renew(self, actor: Actor) -> None:
        """The actor's rights are others now: subscriptions that it may not have any more end."""
        for name, running in list(self._running.items()):
            error = self._operations.renew(running.operation, actor) if running.operation is not None else None
            if error is None:
                continue
            await self._cancel(name)
            if name not in self._running:  # else the client has begun another one meanwhile
                try:
                    await self._send(_error(name, error, new_trace_id()))
                except CloseSocket as end:
                    self._finish(end)

    def look_again(self) -> None:
        """Close the socket if what it signed in with does not hold any more."""
        if self._watch is not None:
            self._watch.look_again()


def _who(actor: Actor) -> tuple[str, str]:
    return actor.tenant, actor.subject


def _error(name: str, error: LakefrontError, trace_id: str) -> dict[str, Any]:
    return {"id": name, "type": "error", "payload": [format_error(error, trace_id)]}
