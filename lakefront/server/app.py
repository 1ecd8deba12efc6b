"""The ASGI application: every path and what stands behind it. A visible list; what is not in it is a 404 in JSON."""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from lakefront.errors import LakefrontError, MethodNotAllowed, NotFound
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.rate_limits import rate_limits
from lakefront.graphql.schema import build_schema
from lakefront.server.compression import Compressed
from lakefront.server.cors import Cors
from lakefront.server.express import Express
from lakefront.server.graphql_http import GraphQLHTTP
from lakefront.server.graphql_ws import GraphQLSocket
from lakefront.server.hosts import HostCheck
from lakefront.server.lifespan import Running
from lakefront.server.limits import RateLimits
from lakefront.server.limits.meter import Metered
from lakefront.server.metrics import Counted, Metrics
from lakefront.server.openapi import OpenAPIDocument
from lakefront.server.operation_metrics import show_operations
from lakefront.server.pages.bundle import ASSETS_PATH, Assets, Page
from lakefront.server.pages.graphiql import GraphiQLOrGraphQL
from lakefront.server.responses import GRAPHQL_PATH, error_response
from lakefront.server.rest import (
    api_keys,
    cities,
    integrations,
    lake,
    maps,
    open_data,
    permits,
    service_request_records,
    service_requests,
    system,
    tenant_usage,
    tenants,
)
from lakefront.server.rest.door import Handler, RestDoor
from lakefront.server.security_headers import SecurityHeaders
from lakefront.server.subscription_metrics import show_sockets, show_subscriptions
from lakefront.tracing import new_trace_id

PUBLIC = frozenset(
    {"/", "/health", "/ready", "/.well-known/jwks.json", "/openapi.json", "/docs", "/redoc", ASSETS_PATH}
)
"""Paths that answer without a token (CONTRACT.md, T7); a test holds all others to 401."""

_API_KEYS = "/api/v1/tenants/{tenant_id}/api-keys"


def build_app(running: Running) -> Starlette:
    """The application on the parts that run."""
    doors, settings = running.doors, running.settings
    schema = build_schema()
    operations = Operations(schema, doors.services, Context.for_operation, permission)
    limits = RateLimits(settings, running.redis, rate_limits(schema) | maps.TILES)
    running.at_end.push_async_callback(limits.windows.close)
    authenticate = doors.authenticator.authenticate
    http = GraphQLHTTP(operations, authenticate, settings, doors.budget, doors.services.documents)
    counted = Counted(http, doors.metrics, GRAPHQL_PATH)
    socket = GraphQLSocket(operations, authenticate, settings, doors.services.documents)
    doors.authenticator.on_revocation(socket.look_again)
    doors.authenticator.on_revocation(http.look_again)
    doors.metrics.gauge("lakefront_event_streams", "Streams of server-sent events that are open.", lambda: http.streams)
    show_sockets(doors.metrics, socket)
    show_subscriptions(doors.metrics, operations.subscriptions)
    express = Express(operations, doors.services, doors.authenticator, limits, doors.metrics)
    show_operations(doors.metrics, operations, express.asked)
    # The first that fits is taken, and the doors of GraphQL are the ones asked for most.
    routes: list[BaseRoute] = [
        Route(GRAPHQL_PATH, GraphiQLOrGraphQL(RestDoor(doors, GRAPHQL_PATH, Page("graphiql")), counted)),
        WebSocketRoute(GRAPHQL_PATH, socket),
        *_rest_routes(running),
    ]
    routes.append(Route("/openapi.json", RestDoor(doors, "/openapi.json", OpenAPIDocument(routes)), methods=["GET"]))
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders, limits.addresses),
            Middleware(HostCheck, settings.host, settings.allowed_hosts, doors.metrics.unrouted),
            Middleware(Cors, settings.allowed_origins, doors.metrics.unrouted),
            Middleware(Metered, limits),
            Middleware(Compressed, settings.compress_from),
        ],
        exception_handlers=_unrouted(doors.metrics),
    )
    # A redirect to the path without its slash would be made of whatever Host the client named.
    app.router.redirect_slashes = False
    app.state.express = express
    return app


def _rest_routes(running: Running) -> list[BaseRoute]:
    doors = running.doors

    def rest(path: str, methods: str, handler: Handler) -> BaseRoute:
        return Route(path, RestDoor(doors, path, handler), methods=methods.split())

    return [
        rest("/", "GET", system.get_index),
        rest("/health", "GET", system.get_health),
        rest("/ready", "GET", _ready(running)),
        rest("/metrics", "GET", system.get_metrics),
        rest("/.well-known/jwks.json", "GET", system.get_jwks),
        rest("/sf-permit-events", "POST", permits.post_permit_events),
        rest(service_requests.PATH, "GET POST", service_requests.list_or_post),
        rest(service_request_records.RECORDS, "POST", service_request_records.post_records),
        rest(service_requests.ONE, "GET PATCH", service_requests.get_or_patch),
        rest("/lake/{key:path}", "GET", lake.get_object),
        rest("/api/v1/tenants/dryrun", "POST", tenants.post_dry_run),
        rest("/api/v1/tenants/onboard", "POST", tenants.post_onboard),
        rest("/api/v1/tenants/{tenant_id}", "GET", tenants.get_tenant),
        rest("/api/v1/tenants/{tenant_id}/usage", "GET", tenant_usage.get_usage),
        rest("/api/v1/tenants/{tenant_id}/suspend", "POST", tenants.post_suspend),
        rest("/api/v1/tenants/{tenant_id}/resume", "POST", tenants.post_resume),
        rest(_API_KEYS, "GET POST", api_keys.list_or_create),
        rest(f"{_API_KEYS}/{{key_id}}", "DELETE", api_keys.revoke_key),
        rest(f"{_API_KEYS}/{{key_id}}/rotate", "POST", api_keys.rotate_key),
        rest(f"{_API_KEYS}/{{key_id}}/regenerate", "POST", api_keys.regenerate_key),
        rest("/cities", "GET PUT", cities.list_or_put),
        rest("/integrations", "GET PUT", integrations.list_or_put),
        rest("/integrations/providers", "GET", integrations.list_providers),
        rest("/integrations/rotate-key", "POST", integrations.rotate_key),
        rest("/integrations/test", "POST", integrations.test_integration),
        rest("/open-data/imports", "POST", open_data.post_import),
        rest("/open-data/imports/{import_id}", "GET DELETE", open_data.look_or_stop),
        rest(maps.PATH, "GET", maps.get_tile),
        rest("/docs", "GET", Page("docs")),
        rest("/redoc", "GET", Page("redoc")),
        rest(ASSETS_PATH, "GET", Assets()),
    ]


def _ready(running: Running) -> system.Ready:
    async def redis_answers() -> None:
        if running.redis is None:
            raise ConnectionError("no REDIS_URL is set: quotas are counted by each process alone")
        await running.redis.ping()

    return system.Ready({"postgres": running.doors.services.database.ping}, {"redis": redis_answers})


def _unrouted(metrics: Metrics) -> dict[Any, Callable[[Request, Exception], Response]]:
    """What answers where no route does."""

    def not_found(request: Request, error: Exception) -> Response:
        del request, error
        metrics.unrouted(404)
        return _error(NotFound("There is nothing at this path. The front page / lists what there is."))

    def not_allowed(request: Request, error: Exception) -> Response:
        del request
        metrics.unrouted(405)
        allow = getattr(error, "headers", None) or {}
        return _error(MethodNotAllowed(), headers={name.lower(): value for name, value in allow.items()})

    return {404: not_found, 405: not_allowed}


def _error(error: LakefrontError, headers: dict[str, str] | None = None) -> Response:
    return error_response(error, new_trace_id(), headers=headers)
