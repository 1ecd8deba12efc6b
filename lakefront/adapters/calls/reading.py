"""Answers are read with bounds, whoever sends them: bytes, packed and unpacked, media type and JSON."""

import zlib
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

JSON: Final = ("application/json",)

_CHUNK: Final = 64 * 1024
"""Bytes unpacked at once."""


class Unreadable(Exception):
    """An answer that is not what it should be; its text tells how, without a word of the answer."""


async def bounded(chunks: AsyncIterator[bytes], *, most: int, encoding: str, length: str | None) -> bytes:
    """The body in ``chunks``, unpacked; raises ``Unreadable`` past ``most`` bytes. Never holds much more than that.

    ``length`` is what Content-Length says. Only gzip is asked for, and so only gzip is unpacked: bit by bit, as some
    kilobytes of it may stand for gigabytes.
    """
    if length is not None and length.isdecimal() and int(length) > most:
        raise Unreadable(f"its answer has more than {most} bytes")
    packed = encoding.strip().lower()
    if packed in {"", "identity"}:
        unpacker = None
    elif packed in {"gzip", "x-gzip"}:
        unpacker = zlib.decompressobj(wbits=31)
    else:
        raise Unreadable("its answer is packed in a way that was not asked for")
    parts: list[bytes] = []
    left = most
    async for chunk in chunks:
        for part in (chunk,) if unpacker is None else _unpacked(unpacker, chunk):
            left -= len(part)
            if left < 0:
                raise Unreadable(f"its answer has more than {most} bytes")
            parts.append(part)
    if unpacker is not None and not unpacker.eof:
        raise Unreadable("its packed answer breaks off")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unpacked(unpacker: Any, chunk: bytes) -> Any:
    while chunk:
        try:
            yield unpacker.decompress(chunk, _CHUNK)
        except zlib.error:
            raise Unreadable("its answer is no gzip, though it says so") from None
        if unpacker.eof:
            return
        chunk = unpacker.unconsumed_tail


def media_type(content_type: str) -> str:
    """``application/json`` of ``application/json; charset=utf-8``."""
    return content_type.partition(";")[0].strip().lower()


def fits(kind: str, kinds: tuple[str, ...]) -> bool:
    """Whether a media type is one of ``kinds``; ``image/*`` stands for all images, JSON for its ``+json`` kin."""
    if kind in kinds:
        return True
    if "application/json" in kinds and kind.startswith("application/") and kind.endswith("+json"):
        return True
    return any(each.endswith("/*") and kind.startswith(each[:-1]) for each in kinds)


def parsed(body: bytes) -> Any:
    """The JSON in ``body``; raises ``Unreadable`` where it is malformed, or nested deeper than orjson reads (1,024)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Unreadable("its answer is no JSON, though it says so") from None
