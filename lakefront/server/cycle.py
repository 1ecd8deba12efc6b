"""An answer on its way out: head and body in one write, and headers that are the same in every answer checked once.

Each write is a system call and a packet, which its receiver wakes up for: half the cost of a small answer.
"""

from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

from lakefront.server.connection import CONNECTION, Connection

VARYING: Final = frozenset(
    {
        *(b"content-length", b"date", b"etag", b"expires", b"last-modified", b"location", b"retry-after"),
        *(b"ratelimit", b"x-ratelimit-remaining", b"x-ratelimit-reset", b"x-api-key-expires", b"x-trace-id"),
    }
)
"""Headers that are another in each answer: remembering them would only push out the others."""

MOST_LINES: Final = 500

JOINED: Final = 16 * 1024
"""Bytes of a body up to which copying it costs less than a list of buffers does."""

_FRAMING: Final = frozenset({b"connection", b"transfer-encoding"})
_END: Final = {"type": "http.response.body"}


class Cycle(RequestResponseCycle):
    """One request and its answer, as uvicorn has it but for answers whose length is known."""

    _head: bytes | None = None
    """What waits for the body."""

    def crowd(self) -> None:
        """Another request waits behind this one."""
        self._connection.crowded.set()

    def leave(self) -> None:
        """The client is gone."""
        self.disconnected = True
        self.message_event.set()
        self._connection.presence.leave()

    @property
    def _connection(self) -> Connection:
        ours: dict[str, Any] = self.scope["extensions"]
        connection: Connection = ours[CONNECTION]
        return connection

    async def send(self, message: Any) -> None:
        """Pass a message of the application on; raises RuntimeError for what no answer may have."""
        if message["type"] == "http.response.start" and self._is_plain():
            self._head = self._written(message)
            if self._head is not None:
                return
        elif self._head is not None and message["type"] == "http.response.body":
            head, self._head = self._head, None
            if self.disconnected:
                return
            body = message.get("body", b"")
            if message.get("more_body") or self.scope["method"] == "HEAD" or len(body) != self.expected_content_length:
                self.transport.write(head)
            else:
                self.transport.writelines((head, body)) if len(body) > JOINED else self.transport.write(head + body)
                self.expected_content_length = 0
                message = _END
        await super().send(message)

    def _written(self, message: Any) -> bytes | None:
        """The head, if its length is known and nothing else says where the body ends."""
        lines = [STATUS_LINE[message["status"]]]
        length = None
        for name, value in (*self.default_headers, *message["headers"]):
            if name in _FRAMING:
                return None
            if name == b"content-length":
                length = int(value)
            lines.append(line(name, value) if name in VARYING else known_line(name, value))
        if length is None:
            return None
        self.response_started = True
        self.waiting_for_100_continue = self.chunked_encoding = False
        self.expected_content_length = length
        return b"".join((*lines, b"\r\n"))

    def _is_plain(self) -> bool:
        """Whether nothing is special about the connection: uvicorn itself knows best what to do then."""
        return self.keep_alive and not (
            self.response_started or self.disconnected or self.flow.write_paused or self.access_log
        )


def line(name: bytes, value: bytes) -> bytes:
    """A header as it is sent; raises RuntimeError for what no answer may have."""
    if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        raise RuntimeError(f"Invalid header {name!r}.")
    return b"%b: %b\r\n" % (name, value)


known_line = lru_cache(MOST_LINES)(line)
"""As ``line``; for headers that are the same in many answers."""
