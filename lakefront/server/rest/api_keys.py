"""``/api/v1/tenants/{tenant_id}/api-keys``: a tenant's keys, for its own people and for who manages tenants (T2)."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Self
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.responses import Response

from lakefront.actor import KEYS_MANAGE, Actor
from lakefront.domain import api_keys
from lakefront.domain.api_keys import ApiKeyState
from lakefront.errors import (
    BadRequest,
    Conflict,
    IdempotencyConflict,
    LakefrontError,
    NotFound,
    PayloadTooLarge,
    RequestTimeout,
    Unavailable,
    UnsupportedMediaType,
    ValidationError,
)
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.responses import json_response
from lakefront.server.rest.door import RestRequest
from lakefront.server.rest.json_body import read_json
from lakefront.server.rest.methods import by_method

_OVERLAP_HOURS: Final = api_keys.MAX_OVERLAP // timedelta(hours=1)


class ApiKeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A key to be made. Its lifetime is the server's own (90 days) unless said otherwise."""

    name: Annotated[str, Meta(min_length=1, max_length=api_keys.MAX_NAME, description="What it is for.")]
    roles: Annotated[list[str], Meta(min_length=1, description="What it may do: no more than you.")]
    ttl_days: Annotated[int, Meta(ge=1, le=api_keys.MAX_TTL.days, description="Days it lives.")] | None = None


class RotationRequest(msgspec.Struct, forbid_unknown_fields=True):
    """How a key is rotated."""

    overlap_hours: Annotated[int, Meta(ge=0, le=_OVERLAP_HOURS, description="Hours that the old key holds on.")] = 24


class _NoRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing."""


class ApiKeyAnswer(msgspec.Struct, kw_only=True):
    """What is kept of a key; its text is not."""

    key_id: UUID
    name: str
    prefix: str
    roles: list[str]
    state: ApiKeyState
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: UUID | None

    @classmethod
    def of(cls, key: api_keys.ApiKey, **more: Any) -> Self:
        """The domain's key, with the members of a subclass."""
        return msgspec.convert(
            {**msgspec.to_builtins(key), "state": key.state(datetime.now(UTC)), **more}, cls, strict=True
        )


class NewApiKeyAnswer(ApiKeyAnswer, kw_only=True):
    """A key that was made: ``api_key`` is its text, shown this once; null when an Idempotency-Key is answered again."""

    api_key: str | None
    message: str


class ApiKeysAnswer(msgspec.Struct):
    """A tenant's keys, newest first."""

    tenant_id: str
    api_keys: list[ApiKeyAnswer]


_TENANT: Final = {
    "name": "tenant_id",
    "in": "path",
    "required": True,
    "description": "Your own tenant; any, for whoever may manage tenants.",
    "schema": {"type": "string"},
}
_KEY: Final = {
    "name": "key_id",
    "in": "path",
    "required": True,
    "description": "The key's id, as the list has it.",
    "schema": {"type": "string", "format": "uuid"},
}
_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same body makes no second API key: it answers with the first, without its "
    "text, which is not kept.",
    "schema": {"type": "string", "maxLength": 200},
}
_FORCE: Final = {
    "name": "force",
    "in": "query",
    "description": "Revoke also the last key by which the tenant can make others.",
    "schema": {"type": "boolean", "default": False},
}
_BODY_ERRORS: Final[tuple[type[LakefrontError], ...]] = (
    *(ValidationError, BadRequest, RequestTimeout, PayloadTooLarge, UnsupportedMediaType),
    *(NotFound, Conflict, IdempotencyConflict, Unavailable),
)
_MADE: Final = {
    201: Answer("Made. Save `api_key` now: it is not shown again.", Content(NewApiKeyAnswer)),
    200: Answer("Made before, by a request with this Idempotency-Key: `api_key` is null.", Content(NewApiKeyAnswer)),
}


@describe(
    get=Operation(
        "List a tenant's API keys",
        "API keys",
        {200: Answer("Newest first; of those that ended, the latest.", Content(ApiKeysAnswer))},
        "By GraphQL: `apiKeys`.",
        KEYS_MANAGE,
        (_TENANT,),
        errors=(NotFound, Unavailable),
    )
)
async def list_keys(request: RestRequest) -> Response:
    """What is kept of the tenant's keys."""
    actor = await _actor(request, like="apiKeys")
    found = await api_keys.keys(request.doors.services, actor)
    answer = ApiKeysAnswer(actor.tenant, [ApiKeyAnswer.of(key) for key in found])
    return json_response(msgspec.json.encode(answer))


@describe(
    post=Operation(
        "Create an API key",
        "API keys",
        _MADE,
        "By GraphQL: `createApiKey`, which has a dry run, too.",
        KEYS_MANAGE,
        (_TENANT, _IDEMPOTENCY),
        Content(ApiKeyRequest, example={"name": "Nightly load", "roles": ["service"], "ttl_days": 30}),
        _BODY_ERRORS,
    )
)
async def create_key(request: RestRequest) -> Response:
    """A key, shown this once."""
    actor = await _actor(request, like="createApiKey")
    given = await read_json(request, ApiKeyRequest)
    ttl = None if given.ttl_days is None else timedelta(days=given.ttl_days)
    services, once = request.doors.services, request.idempotency_key()
    return _made(await api_keys.create(services, actor, given.name, given.roles, ttl, idempotency_key=once))


@describe(
    post=Operation(
        "Rotate an API key",
        "API keys",
        _MADE,
        "A key in place of another, with its name, roles and lifetime; the old one holds on for the overlap, so that "
        "nothing stands still while you bring the new one to where it is used. One that it had replaced itself holds "
        "for as long as it was promised. By GraphQL: `rotateApiKey`.",
        KEYS_MANAGE,
        (_TENANT, _KEY, _IDEMPOTENCY),
        Content(RotationRequest, example={"overlap_hours": 24}, required=False),
        _BODY_ERRORS,
    )
)
async def rotate_key(request: RestRequest) -> Response:
    """A key in place of another, which holds on for the overlap."""
    actor = await _actor(request, like="rotateApiKey")
    overlap = timedelta(hours=(await read_json(request, RotationRequest)).overlap_hours)
    services, once = request.doors.services, request.idempotency_key()
    return _made(await api_keys.rotate(services, actor, _key_id(request), overlap, idempotency_key=once))


@describe(
    post=Operation(
        "Regenerate an API key",
        "API keys",
        _MADE,
        "A key in place of another, which ends at once: for one whose text was lost, or got into wrong hands. The same "
        "as `rotate` with `overlap_hours` 0, and by GraphQL as `rotateApiKey(overlapHours: 0)`.",
        KEYS_MANAGE,
        (_TENANT, _KEY, _IDEMPOTENCY),
        errors=_BODY_ERRORS,
    )
)
async def regenerate_key(request: RestRequest) -> Response:
    """A key in place of another, which ends at once."""
    actor = await _actor(request, like="rotateApiKey")
    await read_json(request, _NoRequest)
    services, once = request.doors.services, request.idempotency_key()
    return _made(await api_keys.regenerate(services, actor, _key_id(request), idempotency_key=once))


@describe(
    delete=Operation(
        "Revoke an API key",
        "API keys",
        {200: Answer("It ends within a second, on every server and open socket.", Content(ApiKeyAnswer))},
        "One that was revoked before stays as it is. The tenant's last one that may manage keys is a 409 without "
        "`force`. By GraphQL: `revokeApiKey`.",
        KEYS_MANAGE,
        (_TENANT, _KEY, _FORCE),
        errors=(BadRequest, NotFound, Conflict, Unavailable),
    )
)
async def revoke_key(request: RestRequest) -> Response:
    """The key, which is revoked."""
    actor = await _actor(request, like="revokeApiKey")
    services, force = request.doors.services, request.flag("force")
    revoked = await api_keys.revoke(services, actor, _key_id(request), force=force)
    return json_response(msgspec.json.encode(ApiKeyAnswer.of(revoked)))


list_or_create = by_method(get=list_keys, post=create_key)


async def _actor(request: RestRequest, *, like: str) -> Actor:
    """Who asks, as one of the tenant in the path; before the body is read, that nobody else may make us read it."""
    actor = await request.actor(like=like)
    actor.require(KEYS_MANAGE)
    tenant = request.scope["path_params"]["tenant_id"]
    return await api_keys.acting_for(request.doors.services.database, actor, tenant)


def _key_id(request: RestRequest) -> UUID:
    return api_keys.key_id(request.scope["path_params"]["key_id"])


def _made(made: api_keys.NewKey) -> Response:
    message = "Save the key now: it is not shown again." if made.text else "Made before. Rotate the key if it is lost."
    answer = NewApiKeyAnswer.of(made.key, api_key=made.text or None, message=message)
    return json_response(msgspec.json.encode(answer), status=201 if made.text else 200)
