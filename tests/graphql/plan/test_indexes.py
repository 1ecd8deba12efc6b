"""Compiled statements use their indexes on tables of a realistic size, under row security and the application's role.

Both as PostgreSQL plans for the values at hand and as it plans for any values, which it does for statements that come
often.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, NamedTuple

import asyncpg
import pytest

from lakefront.actor import Actor
from lakefront.db.database import APP_ROLE, connect
from lakefront.domain.services import Services
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from tests.db.query.test_plans import FILL

Node = dict[str, Any]


class Shape(NamedTuple):
    """A document, and the indexes that its statement scans."""

    document: str
    indexes: frozenset[str]
    sorts: bool = False


def _shape(document: str, *indexes: str, sorts: bool = False) -> Shape:
    return Shape(document, frozenset(indexes), sorts)


SHAPES: Final = {
    "one row": _shape('{ permit(permitId: "P77") { permitId status neighborhood } }', "permits_pkey"),
    "a node": _shape('{ node(id: "WyJQZXJtaXQiLCAiUDc3Il0") { id } }', "permits_pkey"),
    "a list": _shape("{ permits(first: 100) { nodes { permitId status } } }", "permits_pkey"),
    "a list, filtered and ordered": _shape(
        '{ permits(first: 100, filter: {neighborhood: {eq: "N7"}}, orderBy: [{estimatedCost: DESC}]) '
        "{ nodes { permitId estimatedCost } } }",
        "permits_by_neighborhood",
    ),
    "the last rows": _shape(
        "{ permits(last: 100, orderBy: [{filedAt: ASC}]) { nodes { permitId } } }", "permits_by_filed_at", sorts=True
    ),
    "a page after a cursor": _shape(
        '{ permits(first: 20, after: "WyI4MTU5MWM2N2U2OWQiLCAiUDUiXQ") '
        "{ pageInfo { hasNextPage endCursor } edges { cursor node { permitId } } } }",
        "permits_pkey",
    ),
    "a hundred permits with their last five events": _shape(
        "{ permits(first: 100) { nodes { permitId events(last: 5) { nodes { eventType occurredAt } } } } }",
        "permits_pkey",
        "events_by_key",
        sorts=True,
    ),
    "a hundred permits with their addresses": _shape(
        "{ permits(first: 100) { nodes { permitId addresses { addressId block } } } }",
        "permits_pkey",
        "permit_addresses_pkey",
    ),
    "a hundred events with their permits": _shape(
        "{ permitEvents(first: 100) { nodes { eventId permit { status } } } }", "events_by_time", "permits_pkey"
    ),
}


@pytest.fixture
async def full(dsn: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    owner = await asyncpg.connect(dsn)
    await owner.execute(FILL)
    await owner.close()
    connection = await connect(dsn, APP_ROLE)
    yield connection
    await connection.close()


@pytest.mark.parametrize("generic", [False, True], ids=["values", "any values"])
async def test_indexes_are_used(
    full: "asyncpg.Connection[Any]", services: Services, actor: Actor, *, generic: bool
) -> None:
    operations = Operations(build_schema(), services, Context.for_operation, permission)
    for name, shape in SHAPES.items():
        planned = operations.planner.plan(OperationRequest(shape.document), actor)
        bound = await operations.runner.bind(planned, actor)
        assert bound is not None, name
        template = bound.shape.template
        keys = {f"keys{place}": [part] for place, part in enumerate(bound.key)}
        sql, values = template.sql, template.fill(bound.slots, bound.named() | keys)
        nodes = list(_nodes(await (_generic(full, sql, len(values)) if generic else _custom(full, sql, values))))
        kinds = {node["Node Type"] for node in nodes}
        assert "Seq Scan" not in kinds, (name, nodes)
        assert {node["Index Name"] for node in nodes if "Index Name" in node} == shape.indexes, (name, nodes)
        assert shape.sorts or not {"Sort", "Incremental Sort"} & kinds, (name, nodes)
        filters = [node["Filter"] for node in nodes if "Filter" in node]
        assert not any("tenant_id" in each for each in filters), f"{name}: row security asks every row: {filters}"


async def _custom(connection: "asyncpg.Connection[Any]", sql: str, values: Any) -> Node:
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *values)
    found: Node = json.loads(text)[0]["Plan"]
    return found


async def _generic(connection: "asyncpg.Connection[Any]", sql: str, count: int) -> Node:
    async with connection.transaction():
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE shape AS {sql}")
        text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE shape({', '.join(['NULL'] * count)})")
        await connection.execute("DEALLOCATE shape")
    found: Node = json.loads(text)[0]["Plan"]
    return found


def _nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
