"""The lake held against its manifest: every object whole, every offset in one of them, nothing that nobody knows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lakefront.actor import CITY
from lakefront.adapters.objects.store import ObjectStore
from lakefront.db.database import Database
from lakefront.errors import NotFound
from lakefront.eventlog.lake.unpack import COLUMNS, Damaged, Sealed, Unpacking, fetch

PAGE = 500
"""Rows that are read at a time."""

PATIENCE = 600
"""Seconds after its batch was closed in which an intent should get its object."""

_AS_TENANT = """
SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN (
  SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM ({}) q) END
"""

_STREAMS = """
SELECT stream, (SELECT count(*) FROM lakefront.lake_objects o WHERE o.tenant_id = $1 AND o.stream = s.stream) AS objects
FROM (SELECT stream FROM lakefront.heads WHERE tenant_id = $1
  UNION SELECT stream FROM lakefront.seal_intents WHERE tenant_id = $1
  UNION SELECT stream FROM lakefront.lake_objects WHERE tenant_id = $1) s
ORDER BY stream
"""

_ROWS = f"""
SELECT {COLUMNS} FROM lakefront.lake_objects
WHERE tenant_id = $1 AND stream = $2 AND (shard, from_offset) > ($3::int, $4::bigint)
ORDER BY shard, from_offset LIMIT {PAGE}
"""  # noqa: S608 - our own columns

_HEADS = "SELECT shard, first, next FROM lakefront.heads WHERE tenant_id = $1 AND stream = $2 ORDER BY shard"

_UNFINISHED = """
SELECT key, closed_at FROM lakefront.seal_intents i
WHERE tenant_id = $1 AND stream = $2 AND key COLLATE "C" > $3 COLLATE "C"
  AND closed_at < now() - make_interval(secs => $4)
  AND NOT EXISTS (SELECT FROM lakefront.lake_objects o WHERE o.tenant_id = $1 AND o.stream = $2 AND o.key = i.key)
ORDER BY key COLLATE "C" LIMIT 500
"""

_KNOWN = """
SELECT key FROM lakefront.seal_intents
WHERE tenant_id = $1 AND stream = $2 AND key = ANY($3::text[])
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at (an object by its key, a shard by its name), and what is wrong with it."""

    name: str
    wrong: Sequence[str] = ()
    of_manifest: bool = False


class Verification:
    """One examination of a tenant's lake. Nothing is changed; the server may go on sealing meanwhile.

    All of it raises ``Unavailable`` when PostgreSQL or the object store is away.
    """

    def __init__(self, database: Database, store: ObjectStore, tenant: str = CITY) -> None:
        self._database = database
        self._store = store
        self._tenant = tenant

    async def streams(self, name: str | None = None) -> dict[str, int]:
        """How many objects each stream has, or just the one with that ``name``; raises ``NotFound`` if none has it."""
        found = {row["stream"]: row["objects"] for row in await self._rows(_STREAMS)}
        if name is None:
            return found
        if name not in found:
            raise NotFound(f"There is no stream '{name}'. There is: {', '.join(found) or 'none yet'}.")
        return {name: found[name]}

    async def check(self, stream: str) -> AsyncIterator[Checked]:
        """Each object of the manifest as it was examined (``of_manifest``); else only what is wrong."""
        ends: dict[int, int] = {}
        # What is trimmed while this runs was sealed before, perhaps after the manifest was read; what is appended may
        # be sealed before it is read: so where the log begins is asked first, and where it ends, last.
        firsts = {row["shard"]: row["first"] for row in await self._rows(_HEADS, stream)}
        async for sealed in self._manifest(stream):
            yield Checked(sealed.key, [*_place(sealed, ends), *await self._object(sealed)], of_manifest=True)
        for row in await self._rows(_HEADS, stream):
            if wrong := _border(ends.get(row["shard"], 0), firsts.get(row["shard"], 0), row["next"]):
                yield Checked(f"shard {row['shard']} of {stream}", wrong)
        async for row in self._pages(_UNFINISHED, stream, PATIENCE):
            yield Checked(row["key"], [f"it was to be sealed from {row['closed_at']} on, and is not in the manifest"])
        async for key in self._unknown(stream):
            yield Checked(key, ["it is in the store, and no intent knows it"])

    async def _manifest(self, stream: str) -> AsyncIterator[Sealed]:
        shard, start = -1, -1
        while rows := await self._rows(_ROWS, stream, shard, start):
            for row in rows:
                yield msgspec.convert(row, Sealed)
            shard, start = rows[-1]["shard"], rows[-1]["from_offset"]

    async def _object(self, sealed: Sealed) -> list[str]:
        try:
            data = await fetch(self._store, sealed)
            await asyncio.to_thread(_examine, data, sealed)
        except Damaged as damaged:
            return [str(damaged)]
        return []

    async def _unknown(self, stream: str) -> AsyncIterator[str]:
        """Keys of objects without an intent, which is committed before its object is written."""
        prefix = f"{stream}/" if self._tenant == CITY else f"{self._tenant}/{stream}/"
        keys: list[str] = []
        async for found in self._store.list(prefix):
            keys.append(found.key)
            if len(keys) == PAGE:
                for key in await self._without_intent(stream, keys):
                    yield key
                keys = []
        for key in await self._without_intent(stream, keys):
            yield key

    async def _without_intent(self, stream: str, keys: list[str]) -> list[str]:
        known = {row["key"] for row in await self._rows(_KNOWN, stream, keys)} if keys else set()
        return [key for key in keys if key not in known]

    async def _pages(self, query: str, stream: str, *values: Any) -> AsyncIterator[dict[str, Any]]:
        """The rows of a query by key, page after page."""
        key = ""
        while rows := await self._rows(query, stream, key, *values):
            for row in rows:
                yield row
            key = rows[-1]["key"]

    async def _rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = msgspec.json.decode(
            await self._database.text(_AS_TENANT.format(query), self._tenant, *values)
        )
        return rows


def _place(sealed: Sealed, ends: dict[int, int]) -> list[str]:
    """What is wrong between ``sealed`` and the shard's object before it, whose end is in ``ends``."""
    end, start = ends.get(sealed.shard, 0), sealed.from_offset
    ends[sealed.shard] = max(end, sealed.until_offset)
    if start > end:
        return [f"no object has the offsets {end} to {start - 1} of shard {sealed.shard} before it"]
    if start < end:
        return [
            f"its offsets {start} to {min(end, sealed.until_offset) - 1} of shard {sealed.shard} are in another, too"
        ]
    return []


def _border(sealed: int, first: int, following: int) -> list[str]:
    """What is wrong between a shard's last sealed offset and its hot log, which holds [first, following)."""
    if sealed > following:
        return [f"objects hold offsets up to {sealed - 1}, and the log ends before {following}"]
    if sealed < first:
        return [f"the hot log begins at {first}, and the objects end before {sealed}"]
    return []


def _examine(data: bytes, sealed: Sealed) -> None:
    """Raise ``Damaged`` if the lines are not the events of just those offsets."""
    unpacking = Unpacking(data, sealed)
    while unpacking.next_offset < sealed.until_offset:
        unpacking.event()
    unpacking.end()
