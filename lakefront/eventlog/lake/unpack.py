"""A sealed object unpacked: fetched and checked as a whole while it is packed, read line by line in bounded parts."""

import gzip
import hashlib
import io
import logging
from typing import NoReturn

import msgspec
import zstandard

from lakefront.adapters.objects.store import ObjectStore
from lakefront.errors import InternalError, NotFound

_log = logging.getLogger(__name__)

_BUFFER = 256 * 1024
"""Bytes that are unpacked at a time."""


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """A row of the manifest: the object that holds the offsets [from_offset, until_offset) of a shard."""

    shard: int
    from_offset: int
    until_offset: int
    key: str
    compression: str
    sha256: str
    stored_bytes: int
    raw_bytes: int
    event_count: int


async def fetch(store: ObjectStore, sealed: Sealed) -> bytes:
    """The object as it is stored, which is what the manifest says it is.

    It is held whole while it is packed: so no connection waits for a slow reader, and no event of an object that is
    not what was sealed is ever handed out. Raises ``Unavailable`` when the store is away, ``InternalError`` (the cause
    is logged) for an object that is missing or differs.
    """
    parts, size = [], 0
    try:
        async for part in store.read(sealed.key):
            size += len(part)
            if size > sealed.stored_bytes:
                break
            parts.append(part)
    except NotFound:
        damaged(sealed.key, "it is missing from the store")
    data = b"".join(parts)
    if size != sealed.stored_bytes:
        damaged(sealed.key, f"it has not the {sealed.stored_bytes} bytes that were sealed")
    if hashlib.sha256(data).hexdigest() != sealed.sha256:
        damaged(sealed.key, "its SHA-256 is not the one that was sealed")
    return data


def lines(data: bytes, compression: str) -> io.BufferedReader:
    """The NDJSON in ``data``, to be read by lines; reading raises ``UNREADABLE`` on what cannot be unpacked."""
    packed = io.BytesIO(data)
    if compression == "zstd":
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True), _BUFFER)
    return io.BufferedReader(gzip.GzipFile(fileobj=packed), _BUFFER)


UNREADABLE = (OSError, EOFError, zstandard.ZstdError)
"""What unpacking raises on bytes that are no such archive, or a part of one."""


def damaged(key: str, what: str) -> NoReturn:
    """Log what is wrong with an object and raise ``InternalError``."""
    _log.error("the lake's object %s cannot be read: %s; run `lakefront verify lake`", key, what)
    raise InternalError("A part of the lake cannot be read. Its operator finds it with `lakefront verify lake`.")
