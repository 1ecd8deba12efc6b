"""A sealed object unpacked: fetched and checked as a whole while it is packed, read line by line in bounded parts."""

import asyncio
import gzip
import io
import zlib
from contextlib import aclosing
from hashlib import sha256

import msgspec
import zstandard

from lakefront.adapters.objects.store import ObjectStore
from lakefront.errors import NotFound, Unavailable
from lakefront.eventlog.events import Event
from lakefront.eventlog.lake.envelope import decode

_BUFFER = 256 * 1024
"""Bytes that are unpacked at a time."""

PATIENCE = 20.0
"""Seconds that an object of any size may take to arrive."""

SLOWEST = 64 * 1024
"""Bytes a second at which an object must come beyond that: one that trickles would hold its reader's turn for hours."""

UNREADABLE = (OSError, EOFError, zlib.error, zstandard.ZstdError)
"""What unpacking raises on bytes that are no such archive, or a part of one."""


class Damaged(Exception):
    """An object is not what was sealed: its message says what is wrong."""


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


COLUMNS = "shard, from_offset, until_offset, key, compression, sha256, stored_bytes, raw_bytes"
"""The columns of ``lake_objects`` that make a ``Sealed``."""


async def fetch(store: ObjectStore, sealed: Sealed) -> bytes:
    """The object as it is stored, which is what the manifest says it is.

    It is held whole while it is packed: so no connection waits for a slow reader, and no event of an object that is
    not what was sealed is ever handed out. Raises ``Damaged``, and ``Unavailable`` when the store is away or too
    slow.
    """
    parts, size = [], 0
    patience = PATIENCE + sealed.stored_bytes / SLOWEST
    try:
        async with asyncio.timeout(patience), aclosing(store.read(sealed.key)) as reading:
            async for part in reading:
                size += len(part)
                if size > sealed.stored_bytes:
                    raise Damaged(f"it is longer than the {sealed.stored_bytes} bytes that were sealed")
                parts.append(part)
    except NotFound:
        raise Damaged("it is missing from the store") from None
    except TimeoutError:
        raise Unavailable(f"The object store did not give {sealed.key} within {patience:.0f} s.") from None
    if size != sealed.stored_bytes:
        raise Damaged(f"it has {size} bytes, not the {sealed.stored_bytes} that were sealed")
    data = b"".join(parts)
    if (await asyncio.to_thread(sha256, data)).hexdigest() != sealed.sha256:
        raise Damaged("its SHA-256 is not the one that was sealed")
    return data


class Unpacking:
    """The events of an object, one after the other; ``next_offset`` is that of the event that comes next.

    It blocks while it unpacks: to be used in a thread, and in one at a time.
    """

    def __init__(self, data: bytes, sealed: Sealed) -> None:
        self.next_offset = sealed.from_offset
        self.size = 0
        """Bytes of NDJSON that were unpacked."""
        self._sealed = sealed
        self._lines = lines(data, sealed.compression)

    def skip(self, offset: int) -> None:
        """Pass over the events before ``offset``."""
        while self.next_offset < offset:
            self._line()
            self.next_offset += 1

    def event(self) -> Event:
        """The next event; raises ``Damaged`` if it is not the one that was sealed there."""
        line = self._line()
        try:
            event = decode(line)
        except (msgspec.DecodeError, ValueError) as error:
            raise Damaged(f"the line of offset {self.next_offset} is no event: {error}") from None
        if (event.shard, event.offset) != (self._sealed.shard, self.next_offset):
            found = f"offset {event.offset} of shard {event.shard}"
            raise Damaged(f"the line of offset {self.next_offset} is {found}")
        self.next_offset += 1
        return event

    def end(self) -> None:
        """Raise ``Damaged`` if more follows, or if it all was not as long as was sealed."""
        if self._read():
            raise Damaged(f"it goes on after the event of offset {self.next_offset - 1}, its last")
        if self.size != self._sealed.raw_bytes:
            raise Damaged(f"it unpacks to {self.size} bytes, not to the {self._sealed.raw_bytes} that were sealed")

    def _line(self) -> bytes:
        line = self._read()
        if not line.endswith(b"\n"):
            raise Damaged(f"it ends before the event of offset {self.next_offset}")
        return line

    def _read(self) -> bytes:
        try:
            line = self._lines.readline()
        except UNREADABLE as error:
            raise Damaged(f"it cannot be unpacked: {error}") from None
        self.size += len(line)
        return line


def lines(data: bytes, compression: str) -> io.BufferedReader:
    """The NDJSON in ``data``, to be read by lines; reading raises ``UNREADABLE`` on what cannot be unpacked."""
    packed = io.BytesIO(data)
    if compression == "zstd":
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True), _BUFFER)
    return io.BufferedReader(gzip.GzipFile(fileobj=packed), _BUFFER)
