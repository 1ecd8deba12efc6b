"""The floor: a bare ASGI application that runs the best hand-written SQL and passes PostgreSQL's JSON on.

Row security and the tenant within the statement, as Lakefront has them; no sign-in, no GraphQL, no checks. One route a
shape; the body is the GraphQL request, of which it reads the variables alone.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import orjson
import uvicorn

from bench.graphql.shapes import LAST_EVENTS, LIST, LONG_LIST, PAGE
from lakefront.actor import CITY
from lakefront.db.database import APP_ROLE
from lakefront.eventlog.projections.permits import STREAM

POOL: Final = 10

_FIELDS: Final = (
    'permit_id AS "permitId", status, type, estimated_cost AS "estimatedCost", filed_at AS "filedAt", neighborhood, '
    "zipcode, description"
)
_PERMITS: Final = "lakefront.permits WHERE tenant_id = $1"
_BY_COST: Final = f"{_PERMITS} AND neighborhood = $2 ORDER BY estimated_cost DESC, permit_id DESC"
_LAST_EVENTS: Final = f"""
(SELECT coalesce(json_agg(e), '[]') FROM (
  SELECT event_id AS "eventId", event_type AS "eventType", occurred_at AS "occurredAt", payload AS "eventData"
  FROM lakefront.events
  WHERE tenant_id = $1 AND stream = '{STREAM}' AND partition_key = p.permit_id
  ORDER BY occurred_at DESC, shard DESC, "offset" DESC LIMIT {LAST_EVENTS}) e) AS events"""
_TOTAL: Final = f"(SELECT count(*) FROM {_PERMITS} AND neighborhood = $2)"


def _list(fields: str, rows: str) -> str:
    return f"SELECT coalesce(json_agg(q), '[]') FROM (SELECT {fields} FROM {rows}) q"


def _page(more: str = "") -> str:
    return f"""
SELECT json_build_object('edges', coalesce(json_agg(json_build_object('cursor', cursor, 'node', node))
    FILTER (WHERE n <= {PAGE}), '[]'),
  'pageInfo', json_build_object('hasNextPage', count(*) > {PAGE}, 'hasPreviousPage', $3::int IS NOT NULL,
    'startCursor', min(cursor) FILTER (WHERE n = 1),
    'endCursor', (array_agg(cursor))[least(count(*), {PAGE})]){more})
FROM (SELECT row_number() OVER () AS n, p."estimatedCost" || '|' || p."permitId" AS cursor, row_to_json(p) AS node
  FROM (SELECT {_FIELDS} FROM {_PERMITS} AND neighborhood = $2
    AND ($3::int IS NULL OR (estimated_cost <= $3 AND (estimated_cost < $3 OR permit_id < $4)))
    ORDER BY estimated_cost DESC, permit_id DESC LIMIT {PAGE + 1}) p) q"""


_BODIES: Final = {
    "one-row": f"SELECT row_to_json(q) FROM (SELECT {_FIELDS} FROM {_PERMITS} AND permit_id = $2) q",
    "list": _list(_FIELDS, f"{_BY_COST} LIMIT {LIST}"),
    "nested": _list(
        f'permit_id AS "permitId", status, {_LAST_EVENTS}', f"{_BY_COST} LIMIT {LIST}".replace("WHERE", "p WHERE", 1)
    ),
    "long-list": _list(
        _FIELDS, f"{_PERMITS} AND status = $2 ORDER BY status_at DESC, permit_id DESC LIMIT {LONG_LIST}"
    ),
    "page": _page(),
    "page-total": _page(f", 'totalCount', {_TOTAL}"),
    "groups": "SELECT json_build_object('groups', coalesce(json_agg(q), '[]')) FROM ("
    f"SELECT json_build_object('status', status) AS key, count(*) FROM {_PERMITS} AND neighborhood = $2 "
    "GROUP BY status ORDER BY status) q",
}
STATEMENTS: Final = {
    f"/{name}": f"SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN ({body}) END"
    for name, body in _BODIES.items()
}
"""By route; $1 the tenant, $2 the value, and for pages $3 and $4 the cursor's parts."""


class Floor:
    """The application."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: asyncpg.Pool[Any]

    async def open(self) -> None:
        """Connect."""
        settings = {"role": APP_ROLE, "timezone": "UTC", "jit": "off"}
        self._pool = await asyncpg.create_pool(
            self._dsn, min_size=POOL, max_size=POOL, init=_bytes, reset=_nothing, server_settings=settings
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        values = _values(orjson.loads(body)["variables"])
        text: bytes = await self._pool.fetchval(STATEMENTS[scope["path"]], CITY, *values)
        answer = b'{"data":{"found":' + text + b"}}"
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def _values(variables: dict[str, Any]) -> Sequence[Any]:
    if "after" not in variables:
        return (variables["value"],)
    if variables["after"] is None:
        return variables["value"], None, None
    cost, _, key = variables["after"].partition("|")
    return variables["value"], int(cost), key


async def _bytes(connection: Any) -> None:
    await connection.set_type_codec("json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")


async def _nothing(_connection: Any) -> None:
    """Instead of the pool's reset query, as in Lakefront."""


async def main(port: int) -> None:
    """Serve on ``port`` until a signal; the DSN is in ``DATABASE_URL``."""
    floor = Floor(os.environ["DATABASE_URL"])
    await floor.open()
    config = uvicorn.Config(
        floor,
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        log_level="warning",
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
