"""What may be trimmed; that what was trimmed is read from the lake is for ``tests/eventlog/lake/test_history.py``."""

from pathlib import Path

import pytest

from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.errors import ValidationError
from tests.eventlog.conftest import OpenLog
from tests.eventlog.lake.sealing import seal_all
from tests.eventlog.samples import ACTOR, STREAM, events, everything


async def test_a_consumer_that_must_have_passed_counts_before_its_first_row(
    open_log: OpenLog, database: Database, tmp_path: Path
) -> None:
    log = await open_log(consumers={STREAM: ("permits", "late")})
    await log.append(ACTOR, STREAM, events("e", 60))
    whole = await everything(log)
    store = LocalStore(tmp_path / "objects")
    await store.open()
    await seal_all(database, store)
    insert = "INSERT INTO lakefront.consumer_offsets VALUES ('city', $1, $2, 0, $3)"
    for consumer, reached, least in (("permits", 6, 0), ("another", 4, 0), ("late", 5, 4)):
        async with database.transaction("city") as transaction:
            await transaction.execute(insert, consumer, STREAM, reached)
        with pytest.raises(ValidationError, match=f"consumer has taken in only what lies before {least}"):
            await log.trim(ACTOR, STREAM, {0: least + 1})
    assert await everything(log) == whole
    assert await log.trim(ACTOR, STREAM, {0: 4}) == 4
