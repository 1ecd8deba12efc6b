"""The lake held against its manifest: a whole one passes, and each way in which it may differ is told."""

import gzip
from collections.abc import Callable

import pytest

from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.errors import NotFound
from lakefront.eventlog.lake.envelope import Compression
from lakefront.eventlog.lake.verify import Verification
from lakefront.eventlog.postgres import PostgresLog
from tests.eventlog.conftest import OpenLog
from tests.eventlog.lake.lake import change
from tests.eventlog.lake.sealing import seal_all
from tests.eventlog.samples import ACTOR, STREAM, events


@pytest.fixture
async def log(open_log: OpenLog) -> PostgresLog:
    opened = await open_log()
    await opened.append(ACTOR, STREAM, events("e", 200))
    return opened


@pytest.fixture
async def keys(log: PostgresLog, database: Database, store: LocalStore) -> list[str]:
    """A lake of a few objects: their keys."""
    return await seal_all(database, store, count=30)


async def differences(database: Database, store: LocalStore) -> dict[str, str]:
    """What is wrong, by the names of what was looked at."""
    verification = Verification(database, store)
    return {
        checked.name: "; ".join(checked.wrong)
        for stream in await verification.streams()
        async for checked in verification.check(stream)
        if checked.wrong
    }


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_a_whole_lake_passes(
    log: PostgresLog, database: Database, store: LocalStore, compression: Compression
) -> None:
    keys = await seal_all(database, store, count=30, compression=compression)
    verification = Verification(database, store)
    assert await verification.streams() == {STREAM: len(keys)}
    checked = [checked async for checked in verification.check(STREAM)]
    assert [(item.name, list(item.wrong), item.of_manifest) for item in checked] == [(key, [], True) for key in keys]


async def test_nothing_sealed_yet_is_no_difference(log: PostgresLog, database: Database, store: LocalStore) -> None:
    assert await differences(database, store) == {}


async def test_a_stream_that_nobody_has(keys: list[str], database: Database, store: LocalStore) -> None:
    with pytest.raises(NotFound, match=f"There is: {STREAM}"):
        await Verification(database, store).streams("permits")
    assert await Verification(database, store, "other").streams() == {}


async def test_objects_that_differ(keys: list[str], database: Database, store: LocalStore) -> None:
    paths = [store.folder / key for key in keys]
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    paths[2].write_bytes(paths[2].read_bytes()[:-1] + b"\x01")
    assert await differences(database, store) == {
        keys[0]: "it is missing from the store",
        keys[1]: f"it has {paths[1].stat().st_size} bytes, not the {paths[1].stat().st_size + 1} that were sealed",
        keys[2]: "its SHA-256 is not the one that was sealed",
    }


LINES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "it ends before the event of offset 59": lambda lines: lines[:-1],
    "it goes on after the event of offset 59, its last": lambda lines: [*lines, lines[-1]],
    "the line of offset 30 is offset 31 of shard 0": lambda lines: lines[1:],
    "the line of offset 30 is no event": lambda lines: [b"{}\n", *lines[1:]],
    "bytes, not to the": lambda lines: [lines[0].replace(b'"source"', b' "source"'), *lines[1:]],
}


@pytest.mark.parametrize("told", LINES)
async def test_lines_that_differ(keys: list[str], database: Database, store: LocalStore, told: str) -> None:
    """As if they had been sealed so: size and SHA-256 are right."""
    lines = gzip.decompress((store.folder / keys[1]).read_bytes()).splitlines(keepends=True)
    data = gzip.compress(b"".join(LINES[told](lines)))
    (store.folder / keys[1]).write_bytes(data)
    await change(
        database,
        "UPDATE lakefront.lake_objects SET sha256 = encode(sha256($1), 'hex'), stored_bytes = $2 WHERE key = $3",
        *(data, len(data), keys[1]),
    )
    found = await differences(database, store)
    assert list(found) == [keys[1]]
    assert told in found[keys[1]]


async def test_what_cannot_be_unpacked(keys: list[str], database: Database, store: LocalStore) -> None:
    await change(database, "UPDATE lakefront.lake_objects SET compression = 'zstd' WHERE key = $1", keys[0])
    assert "it cannot be unpacked" in (await differences(database, store))[keys[0]]


async def test_gaps_overlaps_and_borders(keys: list[str], database: Database, store: LocalStore) -> None:
    await change(database, "DELETE FROM lakefront.lake_objects WHERE key = $1", keys[0])
    found = await differences(database, store)
    assert found.pop(keys[1]) == "no object has the offsets 0 to 29 of shard 0 before it"
    assert found == {keys[0]: "it was to be sealed from 2024-01-15T10:00:00+00:00 on, and is not in the manifest"}
    await change(
        database,
        "UPDATE lakefront.lake_objects SET from_offset = 40, event_count = 20 WHERE key = $1",
        keys[1],
    )
    await change(
        database,
        "UPDATE lakefront.lake_objects SET until_offset = 95, event_count = 35 WHERE key = $1",
        keys[2],
    )
    found = await differences(database, store)
    assert "no object has the offsets 0 to 39" in found[keys[1]]
    assert "its offsets 90 to 94 of shard 0 are in another, too" in found[keys[3]]
    await change(database, "UPDATE lakefront.heads SET next = 50")
    assert "the log ends before 50" in (await differences(database, store))[f"shard 0 of {STREAM}"]


async def test_a_log_that_begins_after_the_lake_ends(log: PostgresLog, database: Database, store: LocalStore) -> None:
    await change(database, "UPDATE lakefront.heads SET first = 7 WHERE shard = 1")
    found = await differences(database, store)
    assert found == {f"shard 1 of {STREAM}": "the hot log begins at 7, and the objects end before 0"}


async def test_objects_that_nobody_knows(keys: list[str], database: Database, store: LocalStore) -> None:
    stray = f"{STREAM}/year=2024/stray.json.gz"
    await store.put(stray, b"x")
    await store.put("other-tenant/stream/year=2024/theirs.json.gz", b"x")
    assert await differences(database, store) == {stray: "it is in the store, and no intent knows it"}


async def test_an_intent_has_its_time_however_old_its_events(
    log: PostgresLog, database: Database, store: LocalStore
) -> None:
    await change(
        database,
        "INSERT INTO lakefront.seal_intents (tenant_id, stream, shard, from_offset, until_offset, key, compression, "
        "layout, opened_at, hour, number) "
        "VALUES ('city', $1, 0, 0, 1, 'k', 'gzip', 1, now() - interval '9 days', now(), 1)",
        STREAM,
    )
    assert await differences(database, store) == {}
    await change(database, "UPDATE lakefront.seal_intents SET closed_at = now() - interval '11 minutes'")
    assert "is not in the manifest" in (await differences(database, store))["k"]


async def test_what_is_sealed_and_trimmed_meanwhile_is_no_difference(
    keys: list[str], log: PostgresLog, database: Database, store: LocalStore
) -> None:
    found = []
    async for checked in Verification(database, store).check(STREAM):
        found.append(checked)
        if len(found) == len(keys):  # all that it has read of the manifest
            await log.append(ACTOR, STREAM, events("meanwhile", 100))
            await seal_all(database, store)
            await change(database, "UPDATE lakefront.heads SET first = next")
    assert len(found) > len(keys)
    assert [list(checked.wrong) for checked in found] == [[]] * len(found)
