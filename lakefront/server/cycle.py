"""The head of an answer, written quickly: most of its headers are the same in every answer."""

from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

VARYING: Final = frozenset(
    {
        *(b"content-length", b"date", b"etag", b"expires", b"last-modified", b"location", b"retry-after"),
        *(b"ratelimit", b"x-ratelimit-remaining", b"x-ratelimit-reset", b"x-api-key-expires", b"x-trace-id"),
    }
)
"""Headers that are another in each answer: remembering them would only push out the others."""

MOST_LINES: Final = 500

_FRAMING: Final = frozenset({b"connection", b"transfer-encoding"})


class Cycle(RequestResponseCycle):
    """One request and its answer, as uvicorn has it but for the head of an answer whose length is known."""

    async def send(self, message: Any) -> None:
        """Pass a message of the application on; raises RuntimeError for what no answer may have."""
        if message["type"] == "http.response.start" and self._is_plain():
            lines = [STATUS_LINE[message["status"]]]
            length = None
            framed = False
            for name, value in (*self.default_headers, *message["headers"]):
                if name == b"content-length":
                    length = int(value)
                framed = framed or name in _FRAMING
                lines.append(_written(name, value) if name in VARYING else _line(name, value))
            if length is not None and not framed:
                self.response_started = True
                self.waiting_for_100_continue = self.chunked_encoding = False
                self.expected_content_length = length
                self.transport.write(b"".join((*lines, b"\r\n")))
                return
        await super().send(message)

    def _is_plain(self) -> bool:
        """Whether nothing is special about the connection: uvicorn itself knows best what to do then."""
        return self.keep_alive and not (
            self.response_started or self.disconnected or self.flow.write_paused or self.access_log
        )


def _written(name: bytes, value: bytes) -> bytes:
    if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        raise RuntimeError(f"Invalid header {name!r}.")
    return b"%b: %b\r\n" % (name, value)


_line = lru_cache(MOST_LINES)(_written)
