"""GraphQL over server-sent events: the distinct connections mode of ``graphql-sse``, resumable by ``Last-Event-ID``.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md and, for ``id`` and comments, the HTML standard. One
request is one operation, a stream lives no longer than its actor's token; ADR 0013 tells the reasons.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from lakefront.actor import Actor
from lakefront.errors import InternalError, LakefrontError, RateLimited, Unavailable
from lakefront.graphql.answers import Answer, refused
from lakefront.graphql.following import Following
from lakefront.graphql.operation import Operation
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.errors import log_unforeseen
from lakefront.graphql.sharing.seat import Shared
from lakefront.server.bodies import Headers, header
from lakefront.server.connection import CONNECTION, Connection
from lakefront.server.credentials import Credentials
from lakefront.server.token_watch import Authenticate, TokenWatch
from lakefront.server.unsent import while_taken
from lakefront.settings import Settings

EVENT_STREAM: Final = "text/event-stream"

STREAM_HEADERS: Final[Mapping[str, str]] = {
    "content-type": f"{EVENT_STREAM}; charset=utf-8",
    "x-accel-buffering": "no",
}
"""Of every answer in events; proxies of nginx's kind must not collect them."""

COMPLETE: Final = b"event: complete\ndata:\n\n"
"""The end. Without the line of data, empty as it is, an EventSource would not tell its page."""

COMMENT: Final = b":\n\n"
"""Nothing, said so that nobody on the way takes the silence for the end."""

CLOSE_TIMEOUT: Final = 1.0
"""Seconds that the last words may wait for a client that takes nothing."""

RETRY_AFTER: Final = 10.0
"""Seconds after which a client with too many streams may try again."""

_log = logging.getLogger("lakefront.server.stream")


class HTTPVersionNotSupported(LakefrontError):
    """The client's HTTP has no answers of unknown length."""

    code, status = "http_version_not_supported", 505
    default_message = "Streams of events need HTTP/1.1."


def next_event(answer: Answer) -> bytes:
    """``answer`` as the event ``next``, with the cursor as its id; a heartbeat as a comment that moves the id on."""
    cursor = b"id: %b\n" % answer.cursor.encode() if answer.cursor is not None else b""
    if answer.heartbeat:
        return b":\n%b\n" % cursor
    if not isinstance(answer, Shared):
        return b"event: next\n%bdata: %b\n\n" % (cursor, answer.encode())
    event = answer.forms.get(EVENT_STREAM)
    if event is None:
        event = answer.forms[EVENT_STREAM] = b"event: next\n%bdata: %b\n\n" % (cursor, answer.encoded)
    return event


class EventStreams:
    """The subscriptions that are told as events, at most ``settings.sse_streams`` of one actor."""

    def __init__(self, operations: Operations, authenticate: Authenticate, settings: Settings) -> None:
        self.operations = operations
        self.authenticate = authenticate
        self.settings = settings
        self.running: set[EventStream] = set()

    def following(self, headers: Headers) -> Following:
        """How the sender of ``headers`` follows: after ``Last-Event-ID``; raises ``BadRequest`` if that came twice."""
        last = header(headers, b"last-event-id")
        return Following(resume_after=last.decode("latin-1") if last else None, heartbeat=self.settings.sse_heartbeat)

    def response(
        self, operation: Operation, version: str, credentials: Credentials, headers: Mapping[str, str]
    ) -> "EventStream":
        """The response, to be sent at once, that tells the subscription ``operation`` to whoever signed in like this.

        Raises ``HTTPVersionNotSupported`` for HTTP/1.0, ``RateLimited`` if the actor has too many.
        """
        if version == "1.0":
            raise HTTPVersionNotSupported
        who, limit = _who(operation), self.settings.sse_streams
        if sum(_who(stream.operation) == who for stream in self.running) >= limit:
            raise RateLimited(f"At most {limit} streams of one user run at once. Close one.", retry_after=RETRY_AFTER)
        return EventStream(self, operation, credentials, headers)

    def look_again(self) -> None:
        """End the streams whose tokens do not hold any more."""
        for stream in list(self.running):
            stream.look_again()


def _who(operation: Operation) -> tuple[str, str]:
    return operation.actor.tenant, operation.actor.subject


class EventStream:
    """One subscription as an ASGI response: a task that tells it, others that watch, one place that decides its end.

    It ends with its subscription or its client; with an error when the token does not hold any more or the server
    stops. A client that takes nothing for ``settings.socket_send_timeout`` seconds is cut off.
    """

    def __init__(
        self, streams: EventStreams, operation: Operation, credentials: Credentials, headers: Mapping[str, str]
    ) -> None:
        self.operation = operation
        self._streams = streams
        self._credentials = credentials
        self._headers = {**STREAM_HEADERS, **headers, "x-trace-id": operation.trace_id}
        self._watch: TokenWatch | None = None
        self._end: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell the subscription to its end, whoever ends it; leaves no task behind."""
        connection: Connection | None = scope.get("extensions", {}).get(CONNECTION)
        trace_id, actor = self.operation.trace_id, self.operation.actor
        writer = _Writer(send, connection, self._streams.settings.socket_send_timeout)
        self._streams.running.add(self)
        self._watch = TokenWatch(
            self._streams.authenticate, self._credentials, actor, self._fail, self._renew, trace_id
        )
        try:
            await writer.start(self._headers)
            work = [self._tell(writer), self._keep_alive(writer), self._hear(receive)]
            if connection is not None:
                work += [self._obey(connection), self._give_way(connection)]
            last = await self._first_end(work)
        finally:
            self._streams.running.discard(self)
            await self._watch.close()
        _log.info("stream ended trace_id=%s by=%s", trace_id, "client" if last is None else "server")
        if last is not None and await writer.finish(last):
            return
        if connection is not None:
            connection.cut()
            # Only once it is gone does the server take an answer without an end for what it is.
            await _gone(receive)

    def look_again(self) -> None:
        """End the stream if its token does not hold any more."""
        if self._watch is not None:
            self._watch.look_again()

    async def _first_end(self, work: Sequence[Coroutine[Any, Any, None]]) -> bytes | None:
        tasks = [asyncio.create_task(each) for each in work]
        try:
            return await self._end
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, writer: "_Writer") -> None:
        try:
            async with aclosing(self._streams.operations.follow(self.operation)) as answers:
                async for answer in answers:
                    if self._end.done():
                        return  # not one event after its rights were lost
                    await writer.write(next_event(answer))
            self._finish(COMPLETE)
        except TimeoutError:
            self._finish(None)
        except Exception as error:  # noqa: BLE001 - told as masked, logged with its traceback
            log_unforeseen(error, self.operation.trace_id)
            self._fail(InternalError())

    async def _keep_alive(self, writer: "_Writer") -> None:
        # Where the field has cursors, its heartbeats come first.
        longest = 1.5 * self._streams.settings.sse_heartbeat
        with suppress(TimeoutError):
            while True:
                await asyncio.sleep(longest - writer.silence)
                if writer.silence >= longest:
                    await writer.write(COMMENT)
        self._finish(None)

    async def _give_way(self, connection: Connection) -> None:
        await connection.crowded.wait()
        self._finish(None)

    async def _hear(self, receive: Receive) -> None:
        await _gone(receive)
        self._finish(None)

    async def _obey(self, connection: Connection) -> None:
        await connection.stopping.wait()
        self._fail(Unavailable("The server is stopping. Connect again to go on where this stream ended."))

    async def _renew(self, actor: Actor) -> None:
        error = self._streams.operations.renew(self.operation, actor)
        if error is not None:
            self._fail(error)

    def _fail(self, error: LakefrontError) -> None:
        self._finish(next_event(refused(error, self.operation.trace_id)) + COMPLETE)

    def _finish(self, last: bytes | None) -> None:
        """End with these last words; ``None``: there is nobody who takes them."""
        if not self._end.done():
            self._end.set_result(last)


class _Writer:
    """Writes to one client; ``TimeoutError`` when that takes nothing for ``patience`` seconds."""

    def __init__(self, send: Send, connection: Connection | None, patience: float) -> None:
        self._send = send
        self._closing = connection.closing if connection is not None else lambda: False
        self._unsent = connection.unsent if connection is not None else lambda: 0
        self._patience = patience
        self._turn = asyncio.Lock()
        self._clock = asyncio.get_running_loop().time
        self._told_at = self._clock()

    @property
    def silence(self) -> float:
        """Seconds since something was written."""
        return self._clock() - self._told_at

    async def start(self, headers: Mapping[str, str]) -> None:
        """Send the head, and a comment by which whoever is on the way lets it through."""
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})
        await self._body(COMMENT, more=True)

    async def write(self, data: bytes) -> None:
        """Write when the client takes it."""
        async with while_taken(self._unsent, self._patience), self._turn:
            await self._body(data, more=True)

    async def finish(self, data: bytes) -> bool:
        """Write the last of it; false if the client does not take it in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT), self._turn:
                await self._body(data, more=False)
                return True
        return False

    async def _body(self, data: bytes, *, more: bool) -> None:
        if not self._closing():
            await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._told_at = self._clock()


async def _gone(receive: Receive) -> None:
    """Return once the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
