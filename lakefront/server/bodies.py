"""Request bodies: received within limits of size, time and memory, unpacked bomb-safe, and read as harmless JSON.

What a client can get wrong becomes a ``LakefrontError`` with a 4xx status; a client that leaves raises ``ClientGone``.
"""

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from lakefront.domain.numbers import decodes_slowly
from lakefront.errors import BadRequest, PayloadTooLarge, RequestTimeout, Unavailable, UnsupportedMediaType

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Iterable[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]

ARRIVED: Final = "lakefront.arrived"
"""The ASGI extension that says, when it is called, whether all of the body is there."""

FREE: Final = 64 * 1024
"""Bytes of a body that the budget does not count: small requests never wait for large ones."""

SLICE: Final = 256 * 1024
"""Bytes that are unpacked in a row before everybody else gets a turn on the event loop."""

MAX_GZIP_MEMBERS: Final = 10_000
"""Members of one gzip body: parallel packers write one for each block of some 64 kB."""

DISCARD_SECONDS: Final = 1.0
"""How long a body that is too large is read and thrown away, so that its sender gets to read the answer."""

MOST_VALUES: Final = 50_000
"""Values in one JSON text: some 10 ms of parsing. A megabyte may hold half a million, of a tenth of a second."""

_FORMS: Final = frozenset({b"application/x-www-form-urlencoded", b"multipart/form-data", b"text/plain"})
_GZIP: Final = 16 + zlib.MAX_WBITS
_CONTAINERS: Final = (dict, list)


class ClientGone(Exception):
    """The client closed the connection before its request was complete; there is nobody to answer."""


class ByteBudget:
    """Bytes that bodies may hold in memory together; bodies that would exceed it wait their turn.

    The oldest body never waits, whatever it needs: so the total stays below ``total`` plus one body's limit, and bodies
    that each hold half of what they need cannot wait for one another for ever.
    """

    def __init__(self, total: int) -> None:
        """``total`` in bytes."""
        self._total = total
        self._used = 0
        self._shares: OrderedDict[Share, tuple[int, asyncio.Future[None]] | None] = OrderedDict()

    @property
    def used(self) -> int:
        """Bytes held at the moment."""
        return self._used

    def share(self) -> "Share":
        """A share for one body, to be used as ``with budget.share() as share``: it is given back at the end."""
        return Share(self)

    async def _take(self, share: "Share", size: int) -> None:
        self._shares.setdefault(share, None)
        if not self._admits(share, size):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._shares[share] = (size, turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    share.held += size
                self._shares[share] = None
                raise
        else:
            self._used += size
        share.held += size

    def _admits(self, share: "Share", size: int) -> bool:
        if next(iter(self._shares)) is share:
            return True
        # Nobody overtakes an older body that waits.
        older_wait = any(waiting is not None for waiting in self._shares.values())
        return not older_wait and self._used + size <= self._total

    def _give_back(self, share: "Share") -> None:
        if share not in self._shares:
            return
        self._used -= share.held
        del self._shares[share]
        for index, (waiter, waiting) in enumerate(self._shares.items()):
            if waiting is None or waiting[1].done():
                continue
            size, turn = waiting
            if index and self._used + size > self._total:
                break
            self._used += size
            self._shares[waiter] = None
            turn.set_result(None)


class Share:
    """What one body holds of a ``ByteBudget``."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._free = FREE
        self.held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget._give_back(self)  # noqa: SLF001 - the two classes are one thing
        self.held = 0

    async def take(self, size: int, timeout: float) -> None:  # noqa: ASYNC109 - the error is ours
        """Hold ``size`` more bytes; raises ``Unavailable`` if there is no room within ``timeout`` seconds."""
        free = min(self._free, size)
        self._free -= free
        if size == free:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._budget._take(self, size - free)  # noqa: SLF001
        except TimeoutError:
            raise Unavailable(
                "Too many large requests at once. Send this one again after Retry-After seconds."
            ) from None


async def read_body(
    headers: Headers,
    receive: Receive,
    *,
    limit: int,
    timeout: float,  # noqa: ASYNC109 - it counts the client's time alone
    share: Share,
    arrived: bool = False,
) -> bytes:
    """The request's body, unpacked; at most ``limit`` bytes both as sent and unpacked, within ``timeout`` seconds.

    Memory is taken from ``share``, which the caller holds until the body is dealt with. ``arrived`` says that there is
    nothing to wait for, see ``has_arrived``. Raises ``PayloadTooLarge``, ``UnsupportedMediaType``, ``BadRequest``
    (damaged gzip), ``RequestTimeout``, ``Unavailable``, ``ClientGone``.
    """
    packed = _is_gzip(headers)
    declared = _content_length(headers)
    if arrived and not packed and declared is not None and declared <= min(limit, FREE):
        return _body(await receive())
    expects = header(headers, b"expect") is not None
    reader = _Reader(receive, timeout)
    if declared is not None and declared > limit:
        if not expects:
            await reader.discard()
        raise _too_large(limit)
    unpack = _Gunzip(limit, share, timeout) if packed else None
    parts: list[bytes] = []
    sent = unpacked = 0
    while (chunk := await reader.next()) is not None:
        sent += len(chunk)
        if sent > limit:
            await reader.discard()
            raise _too_large(limit)
        if unpack is None:
            await share.take(len(chunk), timeout)
            parts.append(chunk)
            continue
        try:
            unpacked += await unpack.feed(chunk, parts)
        except PayloadTooLarge:
            await reader.discard()
            raise
    if unpack is not None:
        unpack.finish()
    return b"".join(parts)


class _Reader:
    """The chunks of one body, with a deadline over all of them."""

    def __init__(self, receive: Receive, timeout: float) -> None:
        self._receive = receive
        self._left = timeout
        self._more = True

    async def next(self) -> bytes | None:
        """The next chunk, ``None`` at the end. Only the client's time counts, not the time it waits for our memory."""
        if not self._more:
            return None
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(max(self._left, 0)):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout from None
        self._left -= loop.time() - began
        self._more = message.get("more_body", False)
        return _body(message)

    async def discard(self) -> None:
        """Read on for a moment and keep nothing: closing at once would reset the connection under the answer."""
        self._left = DISCARD_SECONDS
        try:
            while await self.next() is not None:
                pass
        except (RequestTimeout, ClientGone):
            self._more = False


def has_arrived(scope: Scope) -> bool:
    """Whether all of a request's body is there already, as the server that took it in says: then no clock is needed."""
    tell: Callable[[], bool] | None = scope.get("extensions", {}).get(ARRIVED)
    return tell is not None and tell()


def _body(message: MutableMapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = message.get("body", b"")
    return body


class _Gunzip:
    """gzip (RFC 1952, several members too) unpacked step by step, never past ``limit`` bytes."""

    def __init__(self, limit: int, share: Share, timeout: float) -> None:
        self._left = limit
        self._limit = limit
        self._share = share
        self._timeout = timeout
        self._member = zlib.decompressobj(_GZIP)
        self._members = 1
        self._fed = False

    async def feed(self, data: bytes, into: list[bytes]) -> int:
        """Append what ``data`` unpacks to; returns its length in bytes."""
        made = 0
        while data:
            if self._member.eof:
                self._members += 1
                if self._members > MAX_GZIP_MEMBERS:
                    raise BadRequest("The gzip body has too many members. Pack it in one piece.")
                self._member = zlib.decompressobj(_GZIP)
            self._fed = True
            try:
                # One byte past the limit tells a body that is too large from one that just fits.
                part = self._member.decompress(data, min(SLICE, self._left + 1))
            except zlib.error:
                raise BadRequest("The body is not gzip, though Content-Encoding says so. Pack it again.") from None
            self._left -= len(part)
            if self._left < 0:
                raise _too_large(self._limit)
            await self._share.take(len(part), self._timeout)
            into.append(part)
            made += len(part)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            await asyncio.sleep(0)
        return made

    def finish(self) -> None:
        """Check that the last member is complete; raises ``BadRequest``."""
        if self._fed and not self._member.eof:
            raise BadRequest("The gzip body ends too early. Send it again, complete.")


def header(headers: Headers, name: bytes) -> bytes | None:
    """The value of a header that may come once; ``None`` if it is absent, ``BadRequest`` if it comes twice."""
    found = None
    for key, value in headers:
        if key == name:
            if found is not None:
                raise BadRequest(f"The header {name.decode()} came more than once. Send it once.")
            found = value
    return found


def check_unread(headers: Headers) -> None:
    """Pass if a body that nobody reads is not announced as a large one; raises ``PayloadTooLarge``.

    One of unknown length is not refused: the server takes it in for a moment after the answer, then cuts it off.
    """
    length = _content_length(headers)
    if length is not None and length > FREE:
        raise PayloadTooLarge("Nothing is done with a body here. Send the request without one.")


def refuse_forms(headers: Headers) -> None:
    """Pass unless the body's type is one that a page of any site may send unasked; raises ``UnsupportedMediaType``.

    There are no cookies that would go along (CSRF), but a page must not even reach into a visitor's network.
    """
    kind = (header(headers, b"content-type") or b"").lower().partition(b";")[0].strip()
    if kind in _FORMS:
        raise UnsupportedMediaType


def require_json(headers: Headers) -> None:
    """Pass if the body is ``application/json`` in UTF-8; raises ``UnsupportedMediaType``.

    A browser sends this type to another site only after asking, so this closes cross-site request forgery, too.
    """
    kind, *parameters = (header(headers, b"content-type") or b"").lower().split(b";")
    if kind.strip() != b"application/json":
        raise UnsupportedMediaType
    for parameter in parameters:
        name, _, value = parameter.strip().partition(b"=")
        if name == b"charset" and value.strip(b'"') not in (b"utf-8", b"utf8"):
            raise UnsupportedMediaType


def parse_json(data: bytes, *, max_depth: int, what: str = "The body") -> Any:
    """The value of a JSON text (RFC 8259, UTF-8), nested at most ``max_depth`` containers deep.

    Raises ``BadRequest`` for everything else, calling it ``what``: bad UTF-8, a byte order mark, lone surrogates, NaN,
    infinities, numbers without measure, depth, more than ``MOST_VALUES``. Integers keep all their digits.
    """
    # Commas within strings count, too: telling them apart would cost what this is to save.
    opened = data.count(b"[") + data.count(b"{")
    if opened + data.count(b",") > MOST_VALUES:
        raise BadRequest(f"The request has more than {MOST_VALUES} values. Send fewer at once.")
    if decodes_slowly(data):
        raise BadRequest("The request has too many numbers like 1e300. Send fewer at once.")
    try:
        value = msgspec.json.decode(data)
    except RecursionError:
        raise _too_deep(max_depth) from None
    except (msgspec.MsgspecError, UnicodeError, ValueError) as error:
        if not data.strip():
            raise BadRequest(f"{what} is empty. Send a JSON object.") from None
        raise BadRequest(f"{what} is not well-formed JSON in UTF-8: {_reason(error)}.") from None
    if opened > max_depth:
        check_depth(value, max_depth)
    return value


def check_depth(value: Any, max_depth: int) -> None:
    """Pass if at most ``max_depth`` lists and objects are nested in ``value``; raises ``BadRequest``."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(max_depth):
        if not level:
            return
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, _CONTAINERS)
        ]
    if level:
        raise _too_deep(max_depth)


def _reason(error: Exception) -> str:
    return "invalid UTF-8" if isinstance(error, UnicodeError) else str(error).removeprefix("JSON is malformed: ")[:100]


def _too_deep(limit: int) -> BadRequest:
    return BadRequest(f"The JSON is nested more than {limit} levels deep. Flatten it.")


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body exceeds {limit} bytes, as sent or unpacked. Split it into smaller requests.")


def _is_gzip(headers: Headers) -> bool:
    encoding = (header(headers, b"content-encoding") or b"identity").strip().lower()
    if encoding not in (b"identity", b"gzip", b"x-gzip"):
        raise UnsupportedMediaType
    return encoding != b"identity"


def _content_length(headers: Headers) -> int | None:
    length = header(headers, b"content-length")
    if length is None:
        return None
    if not length.isdigit() or len(length) > 18:
        raise BadRequest("The header content-length is not a number of bytes.")
    return int(length)
