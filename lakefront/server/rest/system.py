"""Doors about the server itself: the front page, health, readiness, metrics, public keys."""

import html

import msgspec
import orjson
from starlette.responses import Response

from lakefront import __version__
from lakefront.actor import CITY, METRICS_READ
from lakefront.errors import Forbidden, Unavailable
from lakefront.server.health import Check, Readiness, readiness
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.responses import json_response
from lakefront.server.rest.door import RestRequest

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Lakefront</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 1rem/1.6 system-ui, sans-serif; margin: 4rem auto; max-width: 42rem; padding: 0 1rem; color: #16323f; }}
h1 {{ font-size: 2rem; margin-bottom: 0; }} p.lead {{ color: #4a6672; margin-top: .2rem; }}
td {{ padding: .3rem 1.2rem .3rem 0; vertical-align: top; }} code {{ background: #eef4f6; padding: .1rem .3rem; }}
code {{ white-space: nowrap; }}
a {{ color: #0b6e8f; }}
</style></head><body>
<h1>Lakefront</h1><p class="lead">A GraphQL-first data lake server for a city and its businesses. Version {version}.</p>
<table>
<tr><td><a href="/graphql">/graphql</a></td><td>GraphiQL: ask, follow, read the schema</td></tr>
<tr><td><a href="/docs">/docs</a>, <a href="/redoc">/redoc</a></td><td>the REST doors in Swagger UI and ReDoc</td></tr>
<tr><td><a href="/openapi.json">/openapi.json</a></td><td>the same for programs (OpenAPI 3.1)</td></tr>
<tr><td><code>POST /graphql</code></td><td>queries and mutations (bearer token)</td></tr>
<tr><td><code>WS /graphql</code></td><td>queries and subscriptions, <code>graphql-transport-ws</code></td></tr>
<tr><td><code>POST /sf-permit-events</code></td><td>permit events in, a JSON array (bearer token)</td></tr>
<tr><td><code>GET /lake/{{key}}</code></td><td>a file of the lake (bearer token)</td></tr>
<tr><td><code>POST /api/v1/tenants/dryrun</code></td><td>check a new tenant's configuration</td></tr>
<tr><td><code>POST /api/v1/tenants/onboard</code></td><td>make the tenant</td></tr>
<tr><td><code>GET /api/v1/tenants/{{tenant_id}}</code></td><td>its profile and plan</td></tr>
<tr><td><code>GET /api/v1/tenants/{{tenant_id}}/usage</code></td><td>what it used today</td></tr>
<tr><td><code>POST /api/v1/tenants/{{tenant_id}}/suspend</code></td><td>let nobody of it in</td></tr>
<tr><td><code>POST /api/v1/tenants/{{tenant_id}}/resume</code></td><td>let them in again</td></tr>
<tr><td><code>GET, POST /api/v1/tenants/{{tenant_id}}/api-keys</code></td><td>a tenant's API keys</td></tr>
<tr><td><code>DELETE /api/v1/tenants/{{tenant_id}}/api-keys/{{key_id}}</code></td><td>revoke one</td></tr>
<tr><td><code>POST /api/v1/tenants/{{tenant_id}}/api-keys/{{key_id}}/rotate</code></td><td>replace one in time</td></tr>
<tr><td><code>POST /api/v1/tenants/{{tenant_id}}/api-keys/{{key_id}}/regenerate</code></td><td>replace one now</td></tr>
<tr><td><code>GET, PUT /cities</code></td><td>the cities that a tenant serves</td></tr>
<tr><td><code>GET, PUT /integrations</code></td><td>how a tenant reaches outside systems</td></tr>
<tr><td><code>GET /integrations/providers</code></td><td>those that can be set up</td></tr>
<tr><td><code>POST /integrations/rotate-key</code></td><td>renew credentials</td></tr>
<tr><td><code>POST /integrations/test</code></td><td>try one out</td></tr>
<tr><td><code>GET, POST /service-requests</code></td><td>what people report to their city (bearer token)</td></tr>
<tr><td><code>GET, PATCH /service-requests/{{request_id}}</code></td><td>one of these</td></tr>
<tr><td><code>POST /service-request-records</code></td><td>those that a city published</td></tr>
<tr><td><code>POST /open-data/imports</code></td><td>have a published data set imported</td></tr>
<tr><td><code>GET, DELETE /open-data/imports/{{import_id}}</code></td><td>look at an import, stop it</td></tr>
<tr><td><code>GET /maps/tiles/{{owner}}/{{style}}/{{zoom}}/{{column}}/{{row}}</code></td>
<td>tiles of maps (bearer token)</td></tr>
<tr><td><a href="/health">/health</a></td><td>the process lives</td></tr>
<tr><td><a href="/ready">/ready</a></td><td>its parts answer</td></tr>
<tr><td><code>GET /metrics</code></td><td>for Prometheus (bearer token)</td></tr>
<tr><td><a href="/.well-known/jwks.json">/.well-known/jwks.json</a></td><td>public keys of the tokens</td></tr>
</table>
<p>A token: <code>lakefront token --role reader</code></p>
</body></html>"""

_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
}


async def get_index(request: RestRequest) -> Response:
    """A small page with the links."""
    del request
    page = _PAGE.format(version=html.escape(__version__))
    return json_response(page.encode(), media_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)


@describe(
    get=Operation(
        "Whether the process lives",
        "System",
        {
            200: Answer(
                "It lives.",
                Content(
                    {
                        "type": "object",
                        "required": ["status", "version"],
                        "properties": {"status": {"const": "ok"}, "version": {"type": "string"}},
                    }
                ),
            )
        },
    )
)
async def get_health(request: RestRequest) -> Response:
    """The process lives (L13, T7)."""
    del request
    return json_response(orjson.dumps({"status": "ok", "version": __version__}))


@describe(
    get=Operation(
        "Whether the parts answer",
        "System",
        {
            200: Answer("Ready, or degraded: something uncritical is away.", Content(Readiness)),
            503: Answer("A critical part is away: send no requests.", Content(Readiness)),
        },
    )
)
class Ready:
    """The parts answer (L13); 503 when a critical one does not."""

    def __init__(self, critical: dict[str, Check], optional: dict[str, Check]) -> None:
        self._critical = critical
        self._optional = optional

    async def __call__(self, request: RestRequest) -> Response:
        """The state of each part."""
        del request
        found = await readiness(self._critical, self._optional)
        away = found.status == "unavailable"
        headers = {"retry-after": "1"} if away else {}
        return json_response(msgspec.json.encode(found), status=503 if away else 200, headers=headers)


@describe(
    get=Operation(
        "Counters for Prometheus",
        "System",
        {200: Answer("Prometheus' text form.", Content({"type": "string"}, ("text/plain",)))},
        scope=METRICS_READ,
        errors=(Unavailable,),
    )
)
async def get_metrics(request: RestRequest) -> Response:
    """Counters for Prometheus."""
    actor = await request.actor(counted=False)  # a scrape must not fail when it is needed most
    actor.require(METRICS_READ)
    if actor.tenant != CITY:  # they are of the whole server, all its tenants together
        raise Forbidden("These are the whole server's. Ask pipelineMetrics (GraphQL) for your own streams' numbers.")
    return json_response(await request.doors.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@describe(
    get=Operation(
        "The public keys that verify the tokens",
        "System",
        {
            200: Answer(
                "A JSON Web Key Set (RFC 7517).",
                Content(
                    {
                        "type": "object",
                        "required": ["keys"],
                        "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
                    }
                ),
            )
        },
        errors=(Unavailable,),
    )
)
async def get_jwks(request: RestRequest) -> Response:
    """The public keys that verify the tokens."""
    return json_response(orjson.dumps(await request.doors.authenticator.keys.jwks()))
