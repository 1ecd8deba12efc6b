"""The crash test's own check: it is silent when all is well, and names each loss, double and disorder."""

import gzip
import json
from pathlib import Path
from random import Random

import asyncpg
import orjson

from lakefront.actor import Actor
from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.domain import permits
from lakefront.domain.services import Services
from lakefront.eventlog.projections.permits import PERMITS
from tests.chaos.journal import Journal
from tests.chaos.store import Folder
from tests.chaos.subscriber import Delivered, Subscriber, Wish
from tests.chaos.verify import verify
from tests.chaos.writer import Writer
from tests.eventlog.lake.sealing import seal_all


async def _written(services: Services, actor: Actor, dsn: str) -> tuple[Journal, Subscriber]:
    """A run in which nothing went wrong."""
    journal = Journal()
    batch = [Writer("w0", [], journal, Random(7), rate=1)._next_event() for _ in range(3)]
    for event, permit in zip(batch, "abc", strict=True):
        event["permitId"], event["eventId"] = permit, f"{permit}-1"
    journal.sent.update((event["eventId"], event["permitId"]) for event in batch)
    await permits.ingest(services, actor, [orjson.dumps(event) for event in batch])
    journal.acknowledged.update(journal.sent)
    journal.accepted.update(list(journal.sent))
    subscriber = Subscriber("s", Wish("earliest"), [], journal, Random(7))
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch('SELECT event_id, shard, "offset" FROM lakefront.events ORDER BY shard, "offset"')
    await connection.close()
    subscriber.delivered = [Delivered(*row) for row in rows]
    assert await services.progress.reach(
        actor.tenant, PERMITS, await services.log.head(actor, permits.STREAM), patience=20
    )
    return journal, subscriber


async def test_it_is_silent_when_all_is_well(services: Services, actor: Actor, dsn: str) -> None:
    journal, subscriber = await _written(services, actor, dsn)
    await verify(dsn, journal, [subscriber])
    assert journal.violations == []


async def test_it_names_what_a_subscriber_missed_or_got_twice(services: Services, actor: Actor, dsn: str) -> None:
    journal, subscriber = await _written(services, actor, dsn)
    lost, *rest = subscriber.delivered
    subscriber.delivered = [*rest, rest[-1]]
    await verify(dsn, journal, [subscriber])
    assert journal.violations == [
        f"subscriber s never got: {lost.event_id}",
        f"subscriber s got twice: {rest[-1].event_id}",
        f"subscriber s got out of order: {rest[-1].event_id}",
    ]


async def test_it_names_what_the_log_lost(services: Services, actor: Actor, dsn: str) -> None:
    journal, subscriber = await _written(services, actor, dsn)
    lost = subscriber.delivered[0]
    connection = await asyncpg.connect(dsn)
    await connection.execute("DELETE FROM lakefront.events WHERE event_id = $1", lost.event_id)
    await connection.close()
    await verify(dsn, journal, [subscriber])
    told = "\n".join(journal.violations)
    assert f"acknowledged, but not in the log: {lost.event_id}" in told
    assert f"subscriber s got what it was not owed: {lost.event_id}" in told
    assert f"shard {lost.shard} has" in told
    assert "a rebuild failed" in told


async def test_it_names_what_the_lake_lost_or_holds_twice(
    services: Services, actor: Actor, dsn: str, database: Database, tmp_path: Path
) -> None:
    journal, subscriber = await _written(services, actor, dsn)
    folder = tmp_path / "objects"
    store = LocalStore(folder)
    await store.open()
    await seal_all(database, store, count=1)
    await verify(dsn, journal, [subscriber], Folder(folder))
    assert journal.violations == []
    assert journal.counts["objects in the lake"] == 3
    one, other, _ = sorted(path for path in folder.rglob("*") if path.is_file())
    one_id, other_id = (json.loads(gzip.decompress(path.read_bytes()))["eventId"] for path in (one, other))
    other.unlink()
    (folder / "copy.json.gz").write_bytes(one.read_bytes())
    await verify(dsn, journal, [subscriber], Folder(folder))
    told = "\n".join(journal.violations)
    assert f"acknowledged, but not in the lake: {other_id}" in told
    assert f"more than once in the lake: {one_id}" in told
    assert "objects that the manifest does not know: copy.json.gz" in told
    assert f"objects that are gone: {other.relative_to(folder)}" in told
    await store.close()
