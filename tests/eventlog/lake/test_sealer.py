"""Every event is in the lake once, whatever is killed between two steps."""

from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.eventlog.lake.sealer import Sealer
from lakefront.eventlog.postgres import PostgresLog
from tests.eventlog.lake.lake import manifest, sealed
from tests.eventlog.samples import ACTOR, STREAM, events


async def test_all_that_is_there_is_sealed(
    log: PostgresLog, sealer: Sealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, events("e", 1200))
    await sealer.seal_now()
    found = await sealed(database, store)
    assert sorted(line["eventId"] for line in found) == sorted(event.event_id for event in events("e", 1200))
    assert len(await manifest(database)) == 2
    await sealer.seal_now()
    assert len(await manifest(database)) == 2
