"""What must hold in the lake when the dust has settled; read without Lakefront's own reader."""

import asyncio
import gzip
import json
from collections import Counter
from typing import Any

from lakefront.actor import CITY
from lakefront.eventlog.projections.permits import STREAM
from tests.chaos.journal import Journal
from tests.chaos.store import Store

PATIENCE = 90.0
"""Seconds until all of the log must have been sealed."""

_SEALED = """
SELECT shard, max(until_offset) FROM lakefront.lake_objects WHERE tenant_id = $1 AND stream = $2 GROUP BY shard
"""


async def settle_lake(connection: Any, heads: dict[int, int], journal: Journal) -> None:
    """Wait until every shard is sealed up to its head; what is not in time is a violation."""
    sealed: dict[int, int] = {}
    heads = {shard: head for shard, head in heads.items() if head}
    try:
        async with asyncio.timeout(PATIENCE):
            while sealed != heads:
                await asyncio.sleep(0.2)
                sealed = dict(await connection.fetch(_SEALED, CITY, STREAM))
    except TimeoutError:
        journal.violation(f"sealed up to {sealed}, not to {heads}, after {PATIENCE:.0f} s")


async def verify_lake(store: Store, connection: Any, journal: Journal) -> None:
    """Every event of the log is in one object, once, at its place; the store holds what the manifest says, no more."""
    log = {
        (shard, offset, event_id)
        for shard, offset, event_id in await connection.fetch(
            'SELECT shard, "offset", event_id FROM lakefront.events WHERE tenant_id = $1 AND stream = $2', CITY, STREAM
        )
    }
    manifest = {
        key: [(shard, offset) for offset in range(start, until)]
        for key, shard, start, until in await connection.fetch(
            "SELECT key, shard, from_offset, until_offset FROM lakefront.lake_objects WHERE tenant_id = $1", CITY
        )
    }
    stored = await store.contents()
    lake: list[tuple[int, int, str]] = []
    for key, data in stored.items():
        events = [json.loads(line) for line in gzip.decompress(data).splitlines()]
        lake += [(event["shard"], event["offset"], event["eventId"]) for event in events]
        if [(event["shard"], event["offset"]) for event in events] != manifest.get(key):
            journal.violation("an object holds other offsets than the manifest says", [key])
    times = Counter(event_id for _, _, event_id in lake)
    checks = {
        "acknowledged, but not in the lake": [each for each in journal.acknowledged if each not in times],
        "more than once in the lake": [each for each, count in times.items() if count > 1],
        "in the lake, but not so in the log": [str(each) for each in set(lake) - log],
        "in the log, but not in the lake": [str(each) for each in log - set(lake)],
        "objects that the manifest does not know": sorted(stored.keys() - manifest.keys()),
        "objects that are gone": sorted(manifest.keys() - stored.keys()),
    }
    for what, found in checks.items():
        if found:
            journal.violation(what, found)
    journal.counts["objects in the lake"] = len(stored)
