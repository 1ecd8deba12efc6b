"""uvicorn, hardened: what a connection may send before the application sees anything, and how long it may take.

uvicorn bounds bodies by back-pressure, but takes request lines and headers of any size at any pace, queues pipelined
requests without end, and answers malformed ones in plain text. These subclasses close that, and nothing else.
"""

import asyncio
import logging
from asyncio import TimerHandle
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lakefront.errors import BadRequest, LakefrontError, RequestTimeout
from lakefront.server.bodies import ARRIVED
from lakefront.server.caller import Caller
from lakefront.server.connection import CONNECTION, Connection
from lakefront.server.cycle import Cycle
from lakefront.server.express import Express
from lakefront.server.presence import Presence
from lakefront.server.responses import JSON, error_body
from lakefront.server.security_headers import SAFE
from lakefront.server.socket_protocol import SocketProtocol
from lakefront.server.unsent import unsent_bytes
from lakefront.settings import MIB, Settings
from lakefront.tracing import new_trace_id

MAX_HEAD: Final = 64 * 1024
"""Bytes of a request's line and headers."""

MAX_HEADERS: Final = 100
MAX_URL: Final = 16 * 1024
"""Bytes of a request's target; a longer GraphQL document goes by POST."""

MAX_SOCKET_HEADER: Final = 8 * 1024
"""Bytes of one header of a WebSocket handshake: the library that reads them after us takes no longer ones."""

MAX_PIPELINE: Final = 32
"""Requests that may wait on one connection for the answer to an earlier one."""

HEAD_TIMEOUT: Final = 10.0
"""Seconds within which a request's head must have arrived."""

LINGER: Final = 2.0
"""Seconds to take in what is left of a body after its answer, before cutting it off."""

SEND_TIMEOUT: Final = 30.0
"""Seconds that a client may take nothing of its answer."""

MAX_SOCKET_MESSAGE: Final = MIB

SHUTDOWN_TIMEOUT: Final = 10
"""Seconds that requests in flight get to end when the server stops."""

_log = logging.getLogger("lakefront.server.protocol")


class UriTooLong(BadRequest):
    """The request's target exceeds ``MAX_URL``."""

    code, status = "uri_too_long", 414
    default_message = "The URL is too long. Send a long GraphQL document by POST."


class HeadersTooLarge(BadRequest):
    """The request's headers exceed ``MAX_HEAD`` or ``MAX_HEADERS``."""

    code, status = "headers_too_large", 431
    default_message = "The request's headers are too large or too many. Send fewer or shorter ones."


class HTTPProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a bounded, timely head and errors in JSON."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._unread_bytes = 0
        self.cycle: Any
        """The newest request: a ``Cycle``, or a ``Ride``."""
        self._earlier: list[Any] = []
        self._head_timer: TimerHandle | None = None
        self._linger_timer: TimerHandle | None = None
        self._resting_since = 0.0
        self._unsent_timer: TimerHandle | None = None
        self._refusal: LakefrontError | None = None
        self._stopping = asyncio.Event()
        self._express: Express | None = getattr(getattr(self.config.app, "state", None), "express", None)
        self._body: bytes | None = None
        """What has arrived of a body whose request may take the express way."""
        self.caller: Caller | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the first request's head."""
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks, and tell every request that has no answer yet: uvicorn tells the newest alone."""
        self._stop_head_timer()
        self._stop_linger_timer()
        self._stop_unsent_timer()
        super().connection_lost(exc)
        for cycle in (*self._earlier, self.cycle):
            if cycle is not None:
                cycle.leave()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what it, or a check below, does not take is refused.

        This replaces uvicorn's method, which warns about every malformed request and every upgrade that it ignores.
        """
        if self.transport.is_closing():
            return
        # The parser keeps an unfinished header or trailer in memory, however long it gets.
        self._unread_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or BadRequest("The request is not well-formed HTTP/1.1."))
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self._unset_keepalive_if_required()
                self.handle_websocket_upgrade()
                return
        if self._body is not None and not self.transport.is_closing():
            self._go_the_long_way()
        if self._in_head and self._unread_bytes and not self.transport.is_closing():
            self._start_head_timer()
        if self._unread_bytes > MAX_HEAD and not self.transport.is_closing():
            self._refuse(HeadersTooLarge() if self.headers or not self._in_head else UriTooLong())

    def on_message_begin(self) -> None:
        """A new request; refused if too many wait already."""
        if len(self.pipeline) >= MAX_PIPELINE:
            self._fail(BadRequest("Too many requests were sent at once on this connection. Wait for answers."))
        if not self._idle():
            self.cycle.crowd()
            self._earlier = [cycle for cycle in (*self._earlier, self.cycle) if not cycle.response_complete]
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers after a chunked body are dropped, since nobody reads them."""
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A part of the body, which the application bounds."""
        self._unread_bytes = 0
        if self._body is None:
            super().on_body(body)
        else:
            self._body += body

    def on_headers_complete(self) -> None:
        """The head has arrived: check its measures exactly, then hand over."""
        if len(self.url) > MAX_URL:
            self._fail(UriTooLong())
        sizes = [len(name) + len(value) + 4 for name, value in self.headers]
        if len(sizes) > MAX_HEADERS or sum(sizes) > MAX_HEAD:
            self._fail(HeadersTooLarge())
        if self._should_upgrade() and max(sizes) > MAX_SOCKET_HEADER:
            self._fail(HeadersTooLarge())
        self._in_head = False
        self._unread_bytes = 0
        self._stop_head_timer()
        if self._may_ride():
            self._body = b""
        else:
            self._begin()

    def _may_ride(self) -> bool:
        """Whether the request may take the express way, should its body arrive with its head."""
        return (
            self._express is not None
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.flow.write_paused
            and self._idle()
        )

    def _begin(self) -> None:
        """Have the application begin with a request: uvicorn's own way."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        transport = self.transport
        connection = Connection(
            *(asyncio.Event(), self._stopping, transport.is_closing, lambda: unsent_bytes(transport)),
            *(transport.abort, Presence()),
        )
        ours: dict[str, Any] = {CONNECTION: connection}
        self.scope["extensions"] = ours
        super().on_headers_complete()
        if type(self.cycle) is RequestResponseCycle:
            # uvicorn makes it, and has no way to say of which class.
            cycle: Any = self.cycle
            cycle.__class__ = Cycle
            ours[ARRIVED] = lambda: not cycle.more_body

    def _go_the_long_way(self) -> None:
        """Begin with a request whose body, or its beginning, was held back."""
        body, self._body = self._body, None
        self._begin()
        if body:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The body has arrived too: what follows is the next head."""
        self._in_head = True
        self._unread_bytes = 0
        self._stop_linger_timer()
        if self._body is not None:
            ride = self._express.take(self, self._body) if self._express is not None else None
            if ride is not None:
                self._body, self.cycle = None, ride
                ride.start()
                return
            self._go_the_long_way()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is out; a body that still comes in is taken for a moment only, so that its sender can read it."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
            else:
                self._rest()
        self._watch_closing()
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._linger_timer = self.loop.call_later(LINGER, self.transport.abort)

    def shutdown(self) -> None:
        """The server stops: a request in flight may end its answer, whoever is idle is closed."""
        super().shutdown()
        self._stopping.set()

    def pause_writing(self) -> None:
        """The client reads slowly; if it reads nothing, what it asked for is not kept for ever."""
        super().pause_writing()
        self._watch_unsent()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._stop_unsent_timer()
        self._watch_closing()

    def _rest(self) -> None:
        """Wait for the next request. The clock runs on from one to the next: to set it anew for each costs more."""
        self._resting_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._set_keep_alive(self.timeout_keep_alive)

    def _set_keep_alive(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """No further request came: close, unless the client is still busy reading the last answer."""
        self.timeout_keep_alive_task = None
        left = self._resting_since + self.timeout_keep_alive - self.loop.time()
        if not self._idle() or self._head_timer is not None:
            return  # a request is under way, or its head is, which has a clock of its own
        if left > 0:
            self._set_keep_alive(left)
        elif self.flow.write_paused:
            self._set_keep_alive(self.timeout_keep_alive)
        else:
            super().timeout_keep_alive_handler()
            self._watch_closing()

    def _watch_unsent(self) -> None:
        before = unsent_bytes(self.transport)

        def look_again() -> None:
            if unsent_bytes(self.transport) < before:
                self._watch_unsent()
            else:
                self.transport.abort()

        self._unsent_timer = self.loop.call_later(SEND_TIMEOUT, look_again)

    def _watch_closing(self) -> None:
        # Closing waits for the last bytes to be taken, however long that is.
        if self.transport.is_closing() and not self.flow.write_paused:
            self._stop_unsent_timer()
            self._watch_unsent()

    def _stop_unsent_timer(self) -> None:
        if self._unsent_timer is not None:
            self._unsent_timer.cancel()
            self._unsent_timer = None

    def _fail(self, error: LakefrontError) -> None:
        # Out of a callback the parser lets only an error of its own come.
        self._refusal = error
        raise error

    def _refuse(self, error: LakefrontError) -> None:
        """Answer with ``error`` and close; without an answer where an earlier request's is still under way."""
        self._stop_head_timer()
        if self._idle():
            body = error_body(error, new_trace_id())
            head = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
            head += [f"{name}: {value}" for name, value in SAFE.items()]
            head += [f"content-type: {JSON}", f"content-length: {len(body)}", "connection: close"]
            self.transport.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            _log.info("connection refused code=%s", error.code)
        self.transport.close()
        self._watch_closing()

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_head_timer(self) -> None:
        if self._head_timer is None and self._idle():
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_linger_timer(self) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(RequestTimeout())
            self.loop.call_later(LINGER, self.transport.abort)


def server_config(app: Callable[..., Any], settings: Settings, **overrides: Any) -> uvicorn.Config:
    """How uvicorn serves ``app`` on ``settings.host`` and ``settings.port``; ``overrides`` are ``uvicorn.Config``'s.

    Forwarded-for headers are not believed, and there is no access log: a GET's URL holds the whole document.
    """
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "http": HTTPProtocol,
        "ws": SocketProtocol,
        "ws_max_size": MAX_SOCKET_MESSAGE,
        "ws_per_message_deflate": False,
        "ws_ping_interval": 20.0,
        "ws_ping_timeout": 20.0,
        "lifespan": "auto",
        "interface": "asgi3",
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "log_config": None,
        # uvicorn's own notes name paths with their queries; errors and warnings stay.
        "log_level": "warning",
        "timeout_keep_alive": 15,
        "timeout_graceful_shutdown": SHUTDOWN_TIMEOUT,
        "h11_max_incomplete_event_size": MAX_HEAD,
    }
    return uvicorn.Config(app, **{**options, **overrides})
