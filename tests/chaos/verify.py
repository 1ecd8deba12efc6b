"""What must hold when the dust has settled: in the log, at every subscriber, and in the permits."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from lakefront.actor import CITY, system_actor
from lakefront.db.database import Database
from lakefront.domain.permits import rebuild
from lakefront.errors import LakefrontError
from lakefront.eventlog.cursors import decode
from lakefront.eventlog.projections.permits import PERMITS, STREAM
from tests.chaos.journal import Journal
from tests.chaos.lake import settle_lake, verify_lake
from tests.chaos.store import Store
from tests.chaos.subscriber import Subscriber

PATIENCE = 90.0
"""Seconds until the subscribers and the projection must have come to the log's end."""

_STATE = """
SELECT coalesce((SELECT json_agg(p ORDER BY permit_id)::text FROM lakefront.permits p), ''),
       coalesce((SELECT json_agg(a ORDER BY permit_id, address_id)::text FROM lakefront.permit_addresses a), '')
"""


@dataclass(frozen=True)
class Stored:
    """A row of the log."""

    event_id: str
    permit_id: str
    event_type: str
    shard: int
    offset: int

    @property
    def step(self) -> int:
        """Its place among its permit's events, as the writer counted."""
        return int(self.event_id.rpartition("-")[2])


async def settle(dsn: str, journal: Journal, subscribers: Sequence[Subscriber]) -> None:
    """Wait until everybody has come to the log's end; who has not in time is a violation."""
    connection = await asyncpg.connect(dsn)
    try:
        heads = await _heads(connection)
        late: list[str] = []
        try:
            async with asyncio.timeout(PATIENCE):
                while late := await _late(connection, heads, subscribers):  # noqa: ASYNC110 - others move the database
                    await asyncio.sleep(0.2)
        except TimeoutError:
            journal.violation(f"not at the log's end after {PATIENCE:.0f} s", late)
    finally:
        await connection.close()


async def _late(connection: Any, heads: dict[int, int], subscribers: Sequence[Subscriber]) -> list[str]:
    late = [f"subscriber {each.name}" for each in subscribers if _position(each) != heads]
    reached = await connection.fetch(
        "SELECT shard, next FROM lakefront.consumer_offsets WHERE tenant_id = $1 AND consumer = $2 AND stream = $3",
        *(CITY, PERMITS.name, STREAM),
    )
    return [*late, "the projection"] if dict(reached) != heads else late


def _position(subscriber: Subscriber) -> dict[int, int] | None:
    return decode(STREAM, subscriber.cursor).offsets if subscriber.cursor else None


async def verify(dsn: str, journal: Journal, subscribers: Sequence[Subscriber], store: Store | None = None) -> None:
    """Check all promises against the database; whatever is broken goes into the journal."""
    connection = await asyncpg.connect(dsn)
    try:
        log = [
            Stored(*row)
            for row in await connection.fetch(
                'SELECT event_id, partition_key, event_type, shard, "offset" FROM lakefront.events '
                'WHERE tenant_id = $1 AND stream = $2 ORDER BY shard, "offset"',
                *(CITY, STREAM),
            )
        ]
        _verify_log(log, await _heads(connection), journal)
        for subscriber in subscribers:
            _verify_subscriber(log, subscriber, journal)
        if store is not None:
            await settle_lake(connection, await _heads(connection), journal)
            await verify_lake(store, connection, journal)
        await _verify_permits(dsn, connection, log, journal)
    finally:
        await connection.close()
    journal.counts["events in the log"] = len(log)


def _verify_log(log: list[Stored], heads: dict[int, int], journal: Journal) -> None:
    times = Counter(event.event_id for event in log)
    checks = {
        "acknowledged, but not in the log": [each for each in journal.acknowledged if each not in times],
        "more than once in the log": [each for each, count in times.items() if count > 1],
        "in the log, but never sent": [each for each in times if each not in journal.sent],
        "sent, but never acknowledged": [each for each in journal.sent if each not in journal.acknowledged],
        "accepted more than once": [each for each, count in journal.accepted.items() if count > 1],
        "under another permit": [each.event_id for each in log if journal.sent.get(each.event_id) != each.permit_id],
    }
    for shard, head in heads.items():
        offsets = [event.offset for event in log if event.shard == shard]
        if offsets != list(range(head)):
            journal.violation(f"shard {shard} has {len(offsets)} events, its head says {head}, or there is a gap")
    steps: dict[str, int] = {}
    disordered = []
    for event in log:  # a permit's events are in one shard
        if event.step != steps.get(event.permit_id, 0) + 1:
            disordered.append(event.event_id)
        steps[event.permit_id] = event.step
    for what, ids in {**checks, "out of their permit's order in the log": disordered}.items():
        if ids:
            journal.violation(what, ids)


def _verify_subscriber(log: list[Stored], subscriber: Subscriber, journal: Journal) -> None:
    owed = [
        event
        for event in log
        if event.offset >= subscriber.owed_from.get(event.shard, 0)
        and subscriber.wish.includes(event.event_type, event.permit_id)
    ]
    times = Counter(event.event_id for event in subscriber.delivered)
    wanted = {event.event_id for event in owed}
    last: dict[int, int] = {}
    disordered = []
    for event in subscriber.delivered:
        if event.offset <= last.get(event.shard, -1):
            disordered.append(event.event_id)
        last[event.shard] = event.offset
    checks = {
        "never got": [event.event_id for event in owed if event.event_id not in times],
        "got twice": [each for each, count in times.items() if count > 1],
        "got what it was not owed": [each for each in times if each not in wanted],
        "got out of order": disordered,
    }
    for what, ids in checks.items():
        if ids:
            journal.violation(f"subscriber {subscriber.name} {what}", ids)
    journal.counts["events delivered"] += len(subscriber.delivered)


async def _verify_permits(dsn: str, connection: Any, log: list[Stored], journal: Journal) -> None:
    """Each permit is at its last step, and folding the log anew gives the very same rows."""
    last = {event.permit_id: event.step for event in log}
    statuses = dict(await connection.fetch("SELECT permit_id, status FROM lakefront.permits"))
    expected = {permit: "filed" if step == 1 else f"step {step}" for permit, step in last.items()}
    if wrong := [each for each in expected.keys() | statuses.keys() if expected.get(each) != statuses.get(each)]:
        journal.violation("permits are not at their last step", wrong)
    before = await connection.fetchrow(_STATE)
    database = Database(dsn, pool_size=2)
    await database.open()
    try:
        folded = await rebuild(database, system_actor())
    except LakefrontError as failed:
        journal.violation(f"a rebuild failed: {failed.message}")
        return
    finally:
        await database.close()
    if folded != len(log):
        journal.violation(f"a rebuild folded {folded} events of {len(log)}")
    if await connection.fetchrow(_STATE) != before:
        journal.violation("a rebuild gives other permits than the projection kept")


async def _heads(connection: Any) -> dict[int, int]:
    rows = await connection.fetch(
        "SELECT shard, next FROM lakefront.heads WHERE tenant_id = $1 AND stream = $2", CITY, STREAM
    )
    return dict(rows)
