"""``GET /api/v1/tenants/{tenant_id}/usage``: how much of its plan a tenant has used (T5)."""

from datetime import date, datetime

import msgspec
from starlette.responses import Response

from lakefront.actor import TENANT_READ
from lakefront.domain.tenants import usage as domain
from lakefront.errors import NotFound, RateLimited, Unavailable
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.responses import json_response
from lakefront.server.rest.door import RestRequest


class Use(msgspec.Struct):
    """What was used of one quota; null where nothing binds it, or nothing is counted therefore."""

    used: int | None
    limit: int | None
    remaining: int | None

    @classmethod
    def of(cls, found: domain.Use) -> "Use":
        """The domain's numbers."""
        return cls(found.used, found.limit, found.remaining)


class Usage(msgspec.Struct):
    """What a tenant has used of the UTC day ``date``, and what it stores."""

    tenant_id: str
    plan: str
    date: date
    resets_at: datetime
    pipelines: Use
    events: Use
    requests: Use
    storage_bytes: Use


_TENANT = {
    "name": "tenant_id",
    "in": "path",
    "required": True,
    "description": "The tenant's id.",
    "schema": {"type": "string"},
}


@describe(
    get=Operation(
        "See what a tenant has used of its plan",
        "Tenants",
        {200: Answer("The day's pipelines, events and requests, and the bytes in the lake.", Content(Usage))},
        "Your own; any with the scope tenants:manage. By GraphQL: `tenantUsage`.",
        TENANT_READ,
        (_TENANT,),
        errors=(NotFound, RateLimited, Unavailable),
    )
)
async def get_usage(request: RestRequest) -> Response:
    """What the tenant in the path has used by now."""
    actor = await request.actor(like="tenantUsage")
    found = await domain.usage(request.doors.services, actor, request.scope["path_params"]["tenant_id"])
    told = Usage(
        found.tenant_id,
        found.plan,
        found.date,
        found.resets_at,
        Use.of(found.pipelines),
        Use.of(found.events),
        Use.of(found.requests),
        Use.of(found.storage_bytes),
    )
    return json_response(msgspec.json.encode(told))
