"""Large answers compressed, for whoever accepts that (RFC 9110, 12.5.3): br before gzip, both at their fastest.

At these levels a megabyte of JSON takes some 3 ms by br and 5 ms by gzip and shrinks to a sixth; higher ones take a
multiple of it for little more. Only JSON and text that is sent whole is compressed: never a stream of events, nor
files, which come in pieces.
"""

import asyncio
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Final

import brotli
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakefront.server.bodies import Headers
from lakefront.server.negotiation import MAX_REMEMBERED, choose_coding
from lakefront.server.responses import vary

INLINE: Final = 64 * 1024
"""Bytes that are compressed at once, in some 200 µs; more of them in a thread, so that nobody waits for it."""

_THREADS: Final = ThreadPoolExecutor(2, "compression")
_GZIP: Final = 16 + zlib.MAX_WBITS
_TYPES: Final = (b"application/json", b"application/graphql-response+json", b"text/plain")


def _br(body: bytes) -> bytes:
    packed: bytes = brotli.compress(body, quality=1)
    return packed


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, 1, _GZIP)


CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {"br": _br, "gzip": _gzip}
"""What there is, in the server's own order."""


class Compressed:
    """An ASGI application whose answers are compressed from ``least`` bytes on; 0: none is."""

    def __init__(self, app: ASGIApp, least: int) -> None:
        self._app = app
        self._least = least

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the answer waits for its body if it may be compressed."""
        if scope["type"] == "http":
            send = packing(scope, send, self._least)
        await self._app(scope, receive, send)


def packing(scope: Scope, send: Send, least: int) -> Send:
    """``send`` of an HTTP request, or what compresses in front of it, as the request's headers allow; see above."""
    if not least or scope["method"] == "HEAD":
        return send
    coding = coding_for(scope["headers"])
    return send if coding is None else _Packer(send, coding, least)


class _Packer:
    """What an application sends to, in front of one that sends it on."""

    def __init__(self, send: Send, coding: str, least: int) -> None:
        self._send = send
        self._coding = coding
        self._least = least
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        """Keep the start of what may be compressed until its body is there; send on all else as it is."""
        if message["type"] == "http.response.start" and _may_be_packed(message):
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            body: bytes = message.get("body", b"")
            if not message.get("more_body") and len(body) >= self._least:
                message = {**message, "body": await self._packed(body, start)}
            await self._send(start)
        await self._send(message)

    async def _packed(self, body: bytes, start: Message) -> bytes:
        """``body`` compressed, as ``start`` then says."""
        packed = await pack(body, self._coding)
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        headers += [(b"content-length", b"%d" % len(packed)), (b"content-encoding", self._coding.encode())]
        told = any(name == b"vary" and b"accept-encoding" in value.lower() for name, value in headers)
        start["headers"] = headers if told else vary(headers, b"Accept-Encoding")
        return packed


async def pack(body: bytes, coding: str) -> bytes:
    """``body`` compressed, off the event loop where that takes long."""
    if len(body) <= INLINE:
        return CODINGS[coding](body)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, CODINGS[coding], body)


def _may_be_packed(start: Message) -> bool:
    """Whether it is a whole answer in text that is not coded yet; a strong ETag would name other bytes."""
    if start["status"] in (204, 206, 304):
        return False
    fitting = False
    for name, value in start["headers"]:
        if name == b"content-type":
            fitting = value.startswith(_TYPES)
        elif name == b"content-encoding" or (name == b"etag" and not value.startswith(b"W/")):
            return False
    return fitting


def coding_for(headers: Headers) -> str | None:
    """The coding that whoever sent ``headers`` accepts and likes best, ``None`` for none."""
    values = [value for name, value in headers if name == b"accept-encoding"]
    if not values:
        return None
    raw = b",".join(values)
    return _chosen(raw) if len(raw) <= MAX_REMEMBERED else _chosen.__wrapped__(raw)


@lru_cache(maxsize=256)
def _chosen(raw: bytes) -> str | None:
    return choose_coding(raw.decode("latin-1"), tuple(CODINGS))
