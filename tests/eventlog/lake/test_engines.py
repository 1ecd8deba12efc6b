"""The lake's files open as they are, with any engine (X8)."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

import duckdb
import orjson
import pytest
from pysail.spark import SparkConnectServer  # type: ignore[import-untyped]
from pyspark.sql import SparkSession

from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.eventlog.lake.sealer import Sealer
from lakefront.eventlog.postgres import PostgresLog
from tests.eventlog.lake.conftest import OpenSealer
from tests.eventlog.lake.lake import manifest
from tests.eventlog.samples import ACTOR, STREAM, event, everything

PAYLOADS = [
    {"permitNumber": "1", "estimatedCost": 100, "addresses": [{"latitude": 37.7}]},
    {"note": "\u2028 é 🦀 \n", "estimatedCost": 1e300},
    {"nested": {"deep": [[{"a": None}]]}, "estimatedCost": 18446744073709551615},
]
COUNT = 300


@pytest.fixture
async def folder(log: PostgresLog, sealer: Sealer, store: LocalStore) -> str:
    """The folder of a stream that was sealed in four objects."""
    for half in range(2):
        await log.append(
            ACTOR,
            STREAM,
            [event(f"{half}-{n}", f"permit {n % 7}", payload=orjson.dumps(PAYLOADS[n % 3])) for n in range(COUNT // 2)],
        )
        await sealer.seal_now()
    return str(store.folder / STREAM)


def hours(rows: list[Any]) -> set[tuple[int, int, int, int]]:
    """Where the objects of the manifest ``rows`` must lie."""
    opened = [datetime.fromisoformat(row["opened_at"]).astimezone(UTC) for row in rows]
    return {(moment.year, moment.month, moment.day, moment.hour) for moment in opened}


QUERY = """
SELECT count(*), count(DISTINCT eventId), sum("offset")::bigint, min(occurredAt) AT TIME ZONE 'UTC',
  count(*) FILTER (eventData->>'note' = chr(8232) || ' é 🦀 ' || chr(10))
FROM read_json(?, hive_partitioning = true)
"""


async def test_duckdb(folder: str, database: Database, log: PostgresLog) -> None:
    files = f"{folder}/*/*/*/*/*.json.gz"
    with duckdb.connect() as engine:
        found = engine.execute(QUERY, [files]).fetchone()
        partitions = engine.execute(
            "SELECT DISTINCT year, month, day, hour FROM read_json(?, hive_partitioning = true)", [files]
        ).fetchall()
    offsets = sum(each.offset for each in await everything(log))
    assert found == (COUNT, COUNT, offsets, datetime(2024, 1, 15, 10, 30, 0, 500_000), COUNT // 3)  # noqa: DTZ001 - DuckDB's
    assert {tuple(map(int, row)) for row in partitions} == hours(await manifest(database))


async def test_duckdb_opens_zstd(log: PostgresLog, open_sealer: OpenSealer, store: LocalStore) -> None:
    await log.append(ACTOR, STREAM, [event(f"{n}") for n in range(40)])
    await (await open_sealer(seal_compression="zstd")).seal_now()
    files = f"{store.folder}/{STREAM}/*/*/*/*/*.json.zst"
    with duckdb.connect() as engine:
        found = engine.execute("SELECT count(DISTINCT eventId) FROM read_json(?)", [files]).fetchone()
    assert found == (40,)


@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
async def test_spark_connect(folder: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    # pyspark takes a program that has no file, as one of several workers, for its own doctests; but not a prompt.
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    found, partitions, keys = await asyncio.to_thread(ask_spark, folder)
    assert found == (COUNT, COUNT, "2024-01-15T10:30:00.5+00:00", COUNT // 3)
    assert {tuple(map(int, row)) for row in partitions} == hours(await manifest(database))
    assert sum(keys.values()) == COUNT
    assert set(keys) == {f"permit {n}" for n in range(7)}


def ask_spark(folder: str) -> tuple[tuple[Any, ...], list[Any], dict[str, int]]:
    """Totals, partitions, events by permit, as a Spark Connect server answers them."""
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    try:
        spark = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").getOrCreate()
        try:
            spark.read.json(folder).createOrReplaceTempView("events")
            [totals] = spark.sql(
                "SELECT count(*), count(DISTINCT eventId), min(occurredAt), "
                "count_if(eventData.note = '\u2028 é 🦀 \\n') FROM events"
            ).collect()
            partitions = spark.sql("SELECT DISTINCT year, month, day, hour FROM events").collect()
            keys = spark.sql("SELECT partitionKey, count(*) FROM events GROUP BY 1").collect()
        finally:
            spark.stop()
    finally:
        server.stop()
    return tuple(totals), partitions, dict(map(tuple, keys))
