"""``/api/v1/tenants``: dry run and onboarding as the source document has them (T1, T2); suspend, resume, look."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from lakefront.actor import TENANT_READ, TENANTS_MANAGE, Actor
from lakefront.domain.tenants import lifecycle, onboarding, profiles
from lakefront.domain.tenants.configuration import Configuration
from lakefront.domain.tenants.onboarding import VISITOR, DryRun, Onboarded
from lakefront.domain.tenants.profiles import Profile, require_manager
from lakefront.errors import (
    BadRequest,
    Conflict,
    DryRunRequired,
    IdempotencyConflict,
    LakefrontError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    RequestTimeout,
    Unavailable,
    UnsupportedMediaType,
    ValidationError,
)
from lakefront.server.limits import meter_of
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.responses import json_response
from lakefront.server.rest.door import RestRequest
from lakefront.server.rest.json_body import read_json


class Suspension(msgspec.Struct, forbid_unknown_fields=True):
    """Why a tenant is suspended."""

    reason: Annotated[str, Meta(min_length=1, max_length=lifecycle.MAX_REASON, description="Why; its people see it.")]


class _NoRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing."""


EXAMPLE: Final = {
    "tenant_id": "acme_corp",
    "company_name": "Acme Corporation",
    "admin_email": "admin@acme.com",
    "subscription_plan": "PROFESSIONAL",
}
"""The source document's own company."""

_TENANT: Final = {
    "name": "tenant_id",
    "in": "path",
    "required": True,
    "description": "The tenant's id.",
    "schema": {"type": "string"},
}
_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same body changes nothing more; an onboarding is answered again without the "
    "API key's text, which is not kept.",
    "schema": {"type": "string", "maxLength": 200},
}
_BODY_ERRORS: Final[tuple[type[LakefrontError], ...]] = (
    *(ValidationError, BadRequest, RequestTimeout, PayloadTooLarge, UnsupportedMediaType),
    *(IdempotencyConflict, RateLimited, Unavailable),
)
_ACTIONS: Final = frozenset({"dryrun", "onboard"})
"""What no tenant is called, and stands in the same place of a path."""

_OPEN: Final = "No token is needed where onboarding is open (`LAKEFRONT_ONBOARDING`, the default of an embedded run). "


@describe(
    post=Operation(
        "Check a tenant's configuration",
        "Tenants",
        {200: Answer("Every check; `ok` if none failed. One that depends on a failed one has null.", Content(DryRun))},
        f"{_OPEN}Creates nothing. That a configuration passed is remembered for an hour, in which exactly this one may "
        "be onboarded. By GraphQL: `dryRunTenant`.",
        TENANTS_MANAGE,
        (_IDEMPOTENCY,),
        Content(Configuration, example=EXAMPLE),
        _BODY_ERRORS,
        maybe_open=True,
    )
)
async def post_dry_run(request: RestRequest) -> Response:
    """Every check of onboarding; nothing is created."""
    actor = await _onboarding(request, "dryRunTenant")
    configuration = await read_json(request, Configuration)
    services, once = request.doors.services, request.idempotency_key()
    found = await onboarding.dry_run(services, actor, configuration, idempotency_key=once)
    return json_response(msgspec.json.encode(found))


@describe(
    post=Operation(
        "Onboard a tenant",
        "Tenants",
        {
            201: Answer("Made. Save `api_key` now: it is not shown again.", Content(Onboarded)),
            200: Answer("Made before, by a request with this Idempotency-Key: `api_key` is null.", Content(Onboarded)),
        },
        f"{_OPEN}Needs a dry run of exactly this configuration that passed within the last hour. Makes profile, plan, "
        "schema with views and the first API key: all of it or nothing. By GraphQL: `onboardTenant`.",
        TENANTS_MANAGE,
        (_IDEMPOTENCY,),
        Content(Configuration, example=EXAMPLE),
        (*_BODY_ERRORS, DryRunRequired, Conflict),
        maybe_open=True,
    )
)
async def post_onboard(request: RestRequest) -> Response:
    """A tenant, its first key shown this once."""
    actor = await _onboarding(request, "onboardTenant")
    configuration = await read_json(request, Configuration)
    services, once = request.doors.services, request.idempotency_key()
    made = await onboarding.onboard(services, actor, configuration, idempotency_key=once)
    return json_response(msgspec.json.encode(made), status=200 if made.api_key is None else 201)


@describe(
    get=Operation(
        "Look at a tenant",
        "Tenants",
        {200: Answer("Its profile, plan and quotas; a quota that is null does not bind.", Content(Profile))},
        "Your own; any with the scope tenants:manage. By GraphQL: `tenant`, and `tenants` for all.",
        TENANT_READ,
        (_TENANT,),
        errors=(NotFound, RateLimited, Unavailable),
    )
)
async def get_tenant(request: RestRequest) -> Response:
    """The tenant's profile and plan."""
    if _tenant(request) in _ACTIONS:  # which the router takes for a tenant, as theirs is another method
        request.headers["allow"] = "POST"
        raise MethodNotAllowed
    actor = await request.actor(like="tenant")
    return _profile(await profiles.profile(request.doors.services, actor, _tenant(request)))


@describe(
    post=Operation(
        "Suspend a tenant",
        "Tenants",
        {200: Answer("Every door refuses it within a second; its data stays.", Content(Profile))},
        "One that is suspended gets the new reason. By GraphQL: `suspendTenant`, which has a dry run, too.",
        TENANTS_MANAGE,
        (_TENANT, _IDEMPOTENCY),
        Content(Suspension, example={"reason": "The invoice of March is unpaid."}),
        (*_BODY_ERRORS, NotFound),
    )
)
async def post_suspend(request: RestRequest) -> Response:
    """The tenant, which nobody gets into."""
    actor = await _manager(request, "suspendTenant")
    reason = (await read_json(request, Suspension)).reason
    services, once = request.doors.services, request.idempotency_key()
    return _profile(await lifecycle.suspend(services, actor, _tenant(request), reason, idempotency_key=once))


@describe(
    post=Operation(
        "Resume a tenant",
        "Tenants",
        {200: Answer("It is let in again.", Content(Profile))},
        "One that is active stays so. By GraphQL: `resumeTenant`, which has a dry run, too.",
        TENANTS_MANAGE,
        (_TENANT, _IDEMPOTENCY),
        errors=(*_BODY_ERRORS, NotFound),
    )
)
async def post_resume(request: RestRequest) -> Response:
    """The tenant, which is let in again."""
    actor = await _manager(request, "resumeTenant")
    await read_json(request, _NoRequest)
    services, once = request.doors.services, request.idempotency_key()
    return _profile(await lifecycle.resume(services, actor, _tenant(request), idempotency_key=once))


async def _onboarding(request: RestRequest, like: str) -> Actor:
    """Who onboards: whoever comes where that is open, counted by address; elsewhere who may manage tenants."""
    if not request.doors.services.settings.onboarding_open:
        return await _manager(request, like)
    meter = meter_of(request.scope)
    await meter.count(None)
    await meter.count_field(None, like)
    return VISITOR


async def _manager(request: RestRequest, like: str) -> Actor:
    """Who asks, if they may manage tenants; before the body is read, so that nobody else may make us read it."""
    actor = await request.actor(like=like)
    require_manager(actor)
    return actor


def _tenant(request: RestRequest) -> str:
    tenant: str = request.scope["path_params"]["tenant_id"]
    return tenant


def _profile(found: Profile) -> Response:
    return json_response(msgspec.json.encode(found))
