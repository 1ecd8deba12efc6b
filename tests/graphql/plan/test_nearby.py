"""What is near what is found by an index on latitudes, whichever of two domains asks, under row security (C15)."""

from collections.abc import AsyncIterator
from typing import Any, Final

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
from tests.graphql.plan import test_indexes as indexes

PLACES: Final = """
UPDATE lakefront.permit_addresses SET latitude = 37.7 + substr(permit_id, 2)::int / 1e5, longitude = -122.4;
INSERT INTO lakefront.service_requests (tenant_id, request_id, city, provider, source, state, state_at, latitude,
  longitude, reported_at, version, test, trace_id, attributes)
SELECT tenant, 'r' || n, 'sf', 'x', 'open_data', 'OPEN', now(), 37.7 + n / 1e5, -122.4, now(), 1, false, '', '{}'
FROM generate_series(1, 10000) n, (VALUES ('city'), ('other')) AS tenants (tenant);
ANALYZE lakefront.permit_addresses, lakefront.service_requests;
"""

SHAPES: Final = {
    "requests near a point": (
        "{ serviceRequests(filter: {location: {near: {latitude: 37.75, longitude: -122, meters: 9}}}) { totalCount } }",
        "service_requests_by_latitude",
    ),
    "permits near a request": (
        '{ serviceRequest(requestId: "r77") { permits(meters: 50) { nodes { permitId } } } }',
        "permit_addresses_by_latitude",
    ),
    "requests near a permit": (
        '{ permit(permitId: "P77") { serviceRequests(meters: 50) { totalCount nodes { requestId } } } }',
        "service_requests_by_latitude",
    ),
    "requests near a hundred permits": (
        "{ permits(first: 100) { nodes { serviceRequests(first: 3, meters: 50) { nodes { requestId } } } } }",
        "service_requests_by_latitude",
    ),
}


@pytest.fixture
async def full(dsn: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    owner = await asyncpg.connect(dsn)
    await owner.execute(FILL)
    await owner.execute(PLACES)
    await owner.close()
    connection = await connect(dsn, APP_ROLE)
    yield connection
    await connection.close()


async def test_an_index_on_latitudes_is_used(full: "asyncpg.Connection[Any]", services: Services, actor: Actor) -> None:
    operations = Operations(build_schema(), services, Context.for_operation, permission)
    for name, (document, index) in SHAPES.items():
        planned = operations.planner.plan(OperationRequest(document), actor)
        bound = await operations.runner.bind(planned, actor)
        assert bound is not None, name
        template = bound.shape.template
        keys = {f"keys{place}": [part] for place, part in enumerate(bound.key)}
        sql, values = template.sql, template.fill(bound.slots, bound.named() | keys)
        for plan in (await indexes._custom(full, sql, values), await indexes._generic(full, sql, len(values))):
            nodes = list(indexes._nodes(plan))
            assert "Seq Scan" not in {node["Node Type"] for node in nodes}, (name, nodes)
            assert index in {node.get("Index Name") for node in nodes}, (name, nodes)
