"""``/integrations``: how a tenant reaches outside systems; their credentials come in and never out (C7, C15)."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from lakefront.actor import INTEGRATIONS_MANAGE, Actor
from lakefront.domain import integrations
from lakefront.domain.integrations import MOST_CREDENTIAL, Change, CredentialState, Integration, IntegrationInput, Trial
from lakefront.errors import NotFound, Unavailable
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.responses import json_response
from lakefront.server.rest.changes import CHANGE_ERRORS, IDEMPOTENCY
from lakefront.server.rest.door import RestRequest
from lakefront.server.rest.json_body import read_json
from lakefront.server.rest.methods import by_method

_Provider = Annotated[str, Meta(description="The outside system.")]
_City = Annotated[str, Meta(description="The city that it is of, by its slug; empty where it is of none.")]


class RotationRequest(msgspec.Struct, forbid_unknown_fields=True):
    """New credentials in place of those of the same names; the others stay."""

    provider: _Provider
    credentials: dict[str, Annotated[str, Meta(max_length=MOST_CREDENTIAL)]]
    city: _City = ""

    def __repr__(self) -> str:
        """Without credentials."""
        return f"RotationRequest({self.provider!r}, {self.city!r})"


class TrialRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which integration is to be tried out."""

    provider: _Provider
    city: _City = ""


class IntegrationsAnswer(msgspec.Struct):
    """A tenant's integrations, by provider and city."""

    integrations: list[Integration]


class Provider(msgspec.Struct):
    """An outside system that can be set up: there is an adapter for it. ``set_at`` of its credentials is null here."""

    provider: str
    title: str
    city_bound: bool
    default_base_url: str
    api_versions: list[str]
    quota_daily: int | None
    credentials: list[CredentialState]


class ProvidersAnswer(msgspec.Struct):
    """All of them, by their names."""

    providers: list[Provider]


class ChangeAnswer(msgspec.Struct):
    """An integration as it is now; on a dry run, as it would be. ``changed``: what is new of it, without values."""

    integration: Integration
    created: bool
    changed: list[str]
    dry_run: bool


_DRY_RUN: Final = {
    "name": "dry_run",
    "in": "query",
    "description": "Check and report, but change nothing.",
    "schema": {"type": "boolean", "default": False},
}
_PLACE: Final = {"provider": "geoclient", "city": "nyc"}


@describe(
    get=Operation(
        "List integrations",
        "Integrations",
        {200: Answer("Of credentials: which are set, and since when.", Content(IntegrationsAnswer))},
        "By GraphQL: `integrations`.",
        INTEGRATIONS_MANAGE,
        errors=(Unavailable,),
    )
)
async def list_integrations(request: RestRequest) -> Response:
    """What is told of the tenant's integrations."""
    actor = await _actor(request, like="integrations")
    found = await integrations.integrations(request.doors.services, actor)
    return json_response(msgspec.json.encode(IntegrationsAnswer(found)))


@describe(
    get=Operation(
        "List what can be set up",
        "Integrations",
        {200: Answer("The outside systems that there are adapters for.", Content(ProvidersAnswer))},
        "By GraphQL: `integrationProviders`.",
        INTEGRATIONS_MANAGE,
    )
)
async def list_providers(request: RestRequest) -> Response:
    """What adapters say of themselves."""
    await _actor(request, like="integrationProviders")
    found = [
        Provider(
            provider=adapter.provider,
            title=adapter.title,
            city_bound=adapter.city_bound,
            default_base_url=adapter.default_base_url,
            api_versions=list(adapter.api_versions),
            quota_daily=adapter.quota_daily,
            credentials=list(integrations.credentials_of(adapter)),
        )
        for adapter in integrations.available()
    ]
    return json_response(msgspec.json.encode(ProvidersAnswer(found)))


@describe(
    put=Operation(
        "Add or change an integration",
        "Integrations",
        {
            200: Answer("It is so, on every server within a second.", Content(ChangeAnswer)),
            201: Answer("It was not there before, and is now.", Content(ChangeAnswer)),
        },
        "The one of that provider and city. What is left out stays as it is, or is the adapter's default in a new one. "
        "Credentials are sent only to the host that they were given for: with a base URL elsewhere, give all of them "
        "anew; null removes one. By GraphQL: `upsertIntegration`.",
        INTEGRATIONS_MANAGE,
        (IDEMPOTENCY, _DRY_RUN),
        Content(IntegrationInput, example={**_PLACE, "credentials": {"key": "…"}, "quota_daily": 50000}),
        CHANGE_ERRORS,
    )
)
async def put_integration(request: RestRequest) -> Response:
    """The integration as it is now."""
    actor = await _actor(request, like="upsertIntegration")
    dry_run, given = request.flag("dry_run"), await read_json(request, IntegrationInput)
    services, once = request.doors.services, request.idempotency_key()
    change = await integrations.upsert(services, actor, given, idempotency_key=once, dry_run=dry_run)
    return _changed(change, dry_run=dry_run)


@describe(
    post=Operation(
        "Renew credentials",
        "Integrations",
        {200: Answer("The new ones are used on every server within a second.", Content(ChangeAnswer))},
        "What was there under the same names is gone. By GraphQL: `rotateIntegrationKey`.",
        INTEGRATIONS_MANAGE,
        (IDEMPOTENCY, _DRY_RUN),
        Content(RotationRequest, example={**_PLACE, "credentials": {"key": "…"}}),
        (*CHANGE_ERRORS, NotFound),
    )
)
async def rotate_key(request: RestRequest) -> Response:
    """The integration, its credentials renewed."""
    actor = await _actor(request, like="rotateIntegrationKey")
    dry_run, given = request.flag("dry_run"), await read_json(request, RotationRequest)
    services, once = request.doors.services, request.idempotency_key()
    where = (given.provider, given.city, given.credentials)
    change = await integrations.rotate(services, actor, *where, idempotency_key=once, dry_run=dry_run)
    return _changed(change, dry_run=dry_run)


@describe(
    post=Operation(
        "Try an integration out",
        "Integrations",
        {200: Answer("How it went, also where it failed.", Content(Trial))},
        "A harmless call, also of a disabled integration, which counts in its own quota. By GraphQL: "
        "`testIntegration`.",
        INTEGRATIONS_MANAGE,
        (_DRY_RUN,),
        Content(TrialRequest, example=_PLACE),
        (*CHANGE_ERRORS, NotFound),
    )
)
async def test_integration(request: RestRequest) -> Response:
    """How a harmless call went."""
    actor = await _actor(request, like="testIntegration")
    dry_run, given = request.flag("dry_run"), await read_json(request, TrialRequest)
    trial = await integrations.try_out(request.doors.services, actor, given.provider, given.city, dry_run=dry_run)
    return json_response(msgspec.json.encode(trial))


list_or_put = by_method(get=list_integrations, put=put_integration)


async def _actor(request: RestRequest, *, like: str) -> Actor:
    """Who asks, if they may; before the body is read, so that nobody else may make us read it."""
    actor = await request.actor(like=like)
    actor.require(INTEGRATIONS_MANAGE)
    return actor


def _changed(change: Change, *, dry_run: bool) -> Response:
    answer = ChangeAnswer(change.integration, change.created, list(change.changed), dry_run)
    return json_response(msgspec.json.encode(answer), status=201 if change.created and not dry_run else 200)
