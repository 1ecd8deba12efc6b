"""Events that were sealed, read from the lake's objects through the manifest (X1: replay past the hot log)."""

import asyncio
import logging
from collections import OrderedDict
from typing import NoReturn
from weakref import WeakValueDictionary

import msgspec

from lakefront.adapters.objects.store import ObjectStore
from lakefront.db.database import Database
from lakefront.errors import InternalError
from lakefront.eventlog.events import Event, Part
from lakefront.eventlog.lake.unpack import COLUMNS, Damaged, Sealed, Unpacking, fetch

_log = logging.getLogger(__name__)

TURNS = 4
"""Readers that fetch and unpack at once; further ones wait. It bounds threads and memory."""

PLACES = 32
"""Places that are kept for readers who come back for the next page."""

PLACES_BYTES = 32 * 1024 * 1024
"""Bytes of packed objects that these places may hold; the longest unused go first."""

PLACES_OBJECTS = 4
"""Of the largest object there may be as many in any case: without the shards' places each page would fetch it anew."""

AHEAD = 1000
"""Events that are unpacked at once, for this page and the next ones: a thread for each costs more than its work."""

AHEAD_BYTES = 1024 * 1024
"""Bytes of NDJSON after which it is enough, however few events they are."""

_FIND = f"""
SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN (
  SELECT coalesce(json_agg(row_to_json(o)), '[]') FROM (
    SELECT {COLUMNS} FROM lakefront.lake_objects
    WHERE tenant_id = $1 AND stream = $2 AND shard = $3 AND from_offset <= $4
    ORDER BY from_offset DESC LIMIT 1) o) END
"""  # noqa: S608 - our own columns

_rows = msgspec.json.Decoder(list[Sealed])

Shard = tuple[str, str, int]
"""(tenant, stream, shard)."""


class _Packed:
    """An object as it is stored; whoever reads it at the same time shares it."""

    __slots__ = ("__weakref__", "data", "sealed")

    def __init__(self, sealed: Sealed, data: bytes) -> None:
        self.sealed = sealed
        self.data = data


class _Place:
    """Where a reader stands in an object: events unpacked ahead (a merge takes fewer than it asks for), and the rest.

    Not safe for two readers at once.
    """

    def __init__(self, packed: _Packed) -> None:
        self.packed = packed
        self._ahead: list[Event] = []
        self._mean = 0.0
        self._rest = Unpacking(packed.data, packed.sealed)

    @property
    def start(self) -> int:
        """The first offset that can be read without beginning anew."""
        return self._ahead[0].offset if self._ahead else self._rest.next_offset

    @property
    def end(self) -> int:
        """The first offset after the object."""
        return self.packed.sealed.until_offset

    def ready(self, offset: int, limit: int) -> Part:
        """What was unpacked already of the events from ``offset`` on, at most ``limit``; those before are dropped."""
        self._ahead = self._ahead[max(0, offset - self.start) :]
        events = self._ahead[:limit]
        return Part(events, round(self._mean * len(events)))

    def unpack(self, offset: int) -> None:
        """Unpack some events from ``offset`` on, at least one. To be called in a thread."""
        rest = self._rest
        rest.skip(offset)
        before = rest.size
        while len(self._ahead) < AHEAD and rest.next_offset < self.end and rest.size < before + AHEAD_BYTES:
            self._ahead.append(rest.event())
        self._mean = (rest.size - before) / len(self._ahead)


class History:
    """The sealed events of every stream. Readers in sequence need not unpack an object again for each page."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store
        self._turns = asyncio.Semaphore(TURNS)
        self._places: OrderedDict[_Place, Shard] = OrderedDict()
        self._packed: WeakValueDictionary[str, _Packed] = WeakValueDictionary()

    async def events(self, tenant: str, stream: str, shard: int, offset: int, limit: int) -> list[Event]:
        """The events of ``part``."""
        return (await self.part(tenant, stream, shard, offset, limit)).events

    async def part(self, tenant: str, stream: str, shard: int, offset: int, limit: int) -> Part:
        """The events of a shard from ``offset`` on: at least one, at most ``limit``, none beyond an object's end.

        They take about ``AHEAD_BYTES`` at most. Raises ``Unavailable`` while the store or PostgreSQL is away,
        ``InternalError`` (the cause is logged) when the lake does not hold the offset, or not as it was sealed.
        """
        key = (tenant, stream, shard)
        place = self._take(key, offset)
        if place is None or not place.ready(offset, limit).events:
            async with self._turns:
                place = place or _Place(await self._open(key, offset))
                # Whoever is cancelled here leaves the place to the thread: it is not kept for anybody else.
                try:
                    await asyncio.to_thread(place.unpack, offset)
                except Damaged as damaged:
                    _fail(f"the object {place.packed.sealed.key}", damaged)
        self._keep(key, place)
        return place.ready(offset, limit)

    def _take(self, key: Shard, offset: int) -> _Place | None:
        """The kept place from which ``offset`` is nearest; it is no longer kept."""
        fit = [place for place, whose in self._places.items() if whose == key and place.start <= offset < place.end]
        if not fit:
            return None
        place = max(fit, key=lambda place: place.start)
        del self._places[place]
        return place

    def _keep(self, key: Shard, place: _Place) -> None:
        self._places[place] = key
        while len(self._places) > PLACES or self._is_over():
            self._places.popitem(last=False)

    def _is_over(self) -> bool:
        sizes = [len(packed.data) for packed in {place.packed for place in self._places}]
        return sum(sizes) > max(PLACES_BYTES, PLACES_OBJECTS * max(sizes))

    async def _open(self, key: Shard, offset: int) -> _Packed:
        found = _rows.decode(await self._database.text(_FIND, *key, offset))
        if not found or found[0].until_offset <= offset:
            _fail(f"offset {offset} of shard {key[2]} of {key[1]}", "no object of the manifest has it")
        name = f"{key[0]}/{found[0].key}"
        packed = self._packed.get(name)
        if packed is None:
            try:
                packed = self._packed[name] = _Packed(found[0], await fetch(self._store, found[0]))
            except Damaged as damaged:
                _fail(f"the object {found[0].key}", damaged)
        return packed


def _fail(what: str, why: object) -> NoReturn:
    _log.error("the lake: %s cannot be read: %s; run `lakefront verify lake`", what, why)
    raise InternalError("A part of the lake cannot be read. Its operator finds it with `lakefront verify lake`.")
