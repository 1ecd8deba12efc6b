"""Statements use their indexes, under row security and the application's role, on tables of a realistic size."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Select

from lakefront.actor import system_actor
from lakefront.db import query
from lakefront.db.database import APP_ROLE, connect
from lakefront.db.query import Compare, Join, Operator, PageRequest, Source
from lakefront.db.statement import Statement, as_tenant
from lakefront.graphql.permits import ADDRESSES, EVENTS, PERMITS

FILL = """
INSERT INTO lakefront.permits (tenant_id, permit_id, neighborhood, estimated_cost, filed_at, updated_at, field_versions)
SELECT tenant, 'P' || n, 'N' || n % 40, nullif(n % 997, 0), timestamptz '2024-01-01' + n * interval '1 minute',
  now(), '{}'
FROM generate_series(1, 10000) n, (VALUES ('city'), ('other')) AS tenants (tenant);
INSERT INTO lakefront.permit_addresses (tenant_id, permit_id, address_id, "primary", occurred_at, rank, "offset")
SELECT 'city', 'P' || n, 'A', true, now(), 0, 0 FROM generate_series(1, 10000) n;
INSERT INTO lakefront.events (tenant_id, stream, shard, "offset", event_id, event_type, partition_key, occurred_at,
  ingested_at, payload, trace_id, schema_version, source)
SELECT 'city', 'sf-permit-events', n % 2, n, 'E' || n, 'permit_filed', 'P' || n % 10000,
  timestamptz '2024-01-01' + n * interval '1 minute', now(), '{}', '', '1.0', '' FROM generate_series(1, 40000) n;
ANALYZE lakefront.permits, lakefront.permit_addresses, lakefront.events;
"""
ACTOR = system_actor()
MISSION = Compare("neighborhood", Operator.EQ, "N7")
BY_COST = PERMITS.complete((PERMITS.order_key("estimated_cost"),))
BY_COST_DOWN = PERMITS.complete((PERMITS.order_key("estimated_cost", descending=True),))
PERMIT_EVENTS = Join(EVENTS, (("permit_id", "partition_key"),))
KEYS = [(f"P{number}",) for number in range(100)]


@pytest.fixture
async def full(dsn: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    owner = await asyncpg.connect(dsn)
    await owner.execute(FILL)
    await owner.close()
    connection = await connect(dsn, APP_ROLE)
    yield connection
    await connection.close()


async def _plan(connection: "asyncpg.Connection[Any]", statement: Select[Any] | Statement) -> list[dict[str, Any]]:
    """The nodes of the plan that reads the rows: without the aggregate of the answer around it."""
    sql, values = statement if isinstance(statement, Statement) else as_tenant("city", statement)
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *values)
    return list(_nodes(json.loads(text)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _page(source: Source, **request: Any) -> Select[Any]:
    return query.page(source, ACTOR, PageRequest(**{"order": source.complete(), "limit": 100, **request}))


SORTLESS: dict[str, tuple[Select[Any] | Statement, str]] = {
    "permit by id": (query.related(query.by_key(PERMITS), ACTOR, [("P77",)]), "permits_pkey"),
    "permits in a neighborhood by cost": (_page(PERMITS, where=MISSION, order=BY_COST), "permits_by_neighborhood"),
    "the same, greatest first": (_page(PERMITS, where=MISSION, order=BY_COST_DOWN), "permits_by_neighborhood"),
    "the same, last rows": (_page(PERMITS, where=MISSION, order=BY_COST, backward=True), "permits_by_neighborhood"),
    "the same, greatest first, after a row": (
        _page(PERMITS, where=MISSION, order=BY_COST_DOWN, after=(500, "P500")),
        "permits_by_neighborhood",
    ),
    "by cost, after one without": (
        _page(PERMITS, order=BY_COST, after=(None, "P997")),
        "permits_by_estimated_cost",
    ),
    "all permits": (_page(PERMITS), "permits_pkey"),
    "all permits, after one": (_page(PERMITS, after=("P5",)), "permits_pkey"),
    "all events, after one": (_page(EVENTS, after=(datetime(2024, 1, 2, tzinfo=UTC), 0, 100)), "events_by_time"),
    "events of a permit": (_page(EVENTS, where=Compare("partition_key", Operator.EQ, "P7")), "events_by_key"),
}


async def test_pages_scan_their_index_in_order(full: "asyncpg.Connection[Any]") -> None:
    for name, (statement, index) in SORTLESS.items():
        nodes = await _plan(full, statement)
        assert {node.get("Index Name") for node in nodes} - {None} == {index}, (name, nodes)
        assert not {"Seq Scan", "Bitmap Heap Scan"} & {node["Node Type"] for node in nodes}, name


async def test_pages_scan_without_sorting(full: "asyncpg.Connection[Any]") -> None:
    for name, (statement, _) in SORTLESS.items():
        if name != "permit by id":
            kinds = {node["Node Type"] for node in await _plan(full, statement)}
            assert not {"Sort", "Incremental Sort"} & kinds, name


async def test_a_nullable_key_is_read_in_two_bounded_ranges(full: "asyncpg.Connection[Any]") -> None:
    nodes = await _plan(full, _page(PERMITS, where=MISSION, order=BY_COST, after=(500, "P500")))
    scans = [node for node in nodes if node.get("Index Name") == "permits_by_neighborhood"]
    assert len(scans) == 2
    assert sum("estimated_cost >= " in node["Index Cond"] for node in scans) == 1
    assert sum("estimated_cost IS NULL" in node["Index Cond"] for node in scans) == 1


async def test_events_of_a_hundred_permits_are_a_hundred_index_scans(full: "asyncpg.Connection[Any]") -> None:
    request = PageRequest(EVENTS.complete(), 5, backward=True)
    nodes = await _plan(full, query.pages_per_parent(PERMIT_EVENTS, ACTOR, request, KEYS))
    assert [node["Index Name"] for node in nodes if "Index Name" in node] == ["events_by_key"]
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}


async def test_addresses_of_a_hundred_permits_use_the_key(full: "asyncpg.Connection[Any]") -> None:
    nodes = await _plan(full, query.related(Join(ADDRESSES, (("permit_id", "permit_id"),)), ACTOR, KEYS))
    assert [node["Index Name"] for node in nodes if "Index Name" in node] == ["permit_addresses_pkey"]
