"""What a city is told of a request, and by which of its systems."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pydantic

from lakefront.adapters.base311 import Base311Adapter
from lakefront.adapters.dto import Point
from lakefront.adapters.registry import providers
from lakefront.adapters.service_requests import Caller, NewServiceRequest, Resubmission, ServiceRequestDTO
from lakefront.db.database import Transaction
from lakefront.domain.cities import invalid
from lakefront.domain.service_requests.request import CallerInput, ServiceRequest, State
from lakefront.domain.service_requests.states import Cause, Standing, Word, after, late
from lakefront.domain.services import Services
from lakefront.errors import NotConfigured, ValidationError

_SAFEST_FIRST: Final = (Resubmission.SAFE, Resubmission.AFTER_LOOKUP, Resubmission.NEVER)

_MEMBERS: Final = {"point": "latitude"}
"""What a member of the adapters' is called here, where it is not the same."""


_FORGET: Final = """
WITH asked AS (
  UPDATE lakefront.service_request_callers SET first_name = NULL, last_name = NULL
  WHERE tenant_id = $1 AND request_id = $2 AND notify)
DELETE FROM lakefront.service_request_callers WHERE tenant_id = $1 AND request_id = $2 AND NOT notify
"""


async def adapter_of(services: Services, tenant: str, provider: str, city: str) -> Base311Adapter:
    """The city's 311 system of that name; raises ``NotConfigured``, ``Unavailable``."""
    kind = providers().get(provider)
    if kind is None or not issubclass(kind, Base311Adapter):
        raise NotConfigured(f"There is no adapter for a 311 system called '{provider[:40]}' in this server any more.")
    return kind(await services.endpoints.require(tenant, provider, city), services.calls)


async def taker(services: Services, tenant: str, city: str, provider: str | None) -> Base311Adapter | NotConfigured:
    """Which of the city's 311 systems takes requests: ``provider``, or the one that is safest to send to.

    Where none does, the error that says so. Raises ``ValidationError`` for a provider that is no 311 system.
    """
    if provider is not None:
        kind = providers().get(provider)
        if kind is None or not issubclass(kind, Base311Adapter):
            raise invalid("provider", "There is no such 311 system. Leave provider out to have one chosen.")
    systems = await _systems(services, tenant, city, provider)
    takers = [each for each in systems if each.resubmission is not None]
    if takers:
        return min(takers, key=lambda each: (_SAFEST_FIRST.index(each.resubmission), each.provider))
    return _none_takes(city, provider, systems)


async def _systems(services: Services, tenant: str, city: str, provider: str | None) -> list[Base311Adapter]:
    found = []
    for key, endpoint in (await services.endpoints.all(tenant)).items():
        kind = providers().get(key.provider)
        if key.city == city and kind is not None and issubclass(kind, Base311Adapter):
            found.append(kind(endpoint, services.calls))
    return [each for each in found if provider in {None, each.provider}]


def _none_takes(city: str, provider: str | None, systems: Sequence[Base311Adapter]) -> NotConfigured:
    """Says what there is, and what would do."""
    if not systems:
        what = provider or "A 311 system"
        return NotConfigured(
            f"{what} of {city} is not set up here, or disabled: no request can be filed. An operator has to: "
            "upsertIntegration, for instance of open311."
        )
    there = ", ".join(f"{each.title} in its version {each.endpoint.api_version}" for each in systems)
    versions = [
        f"the api_version of {each.provider} to {' or '.join(each.submits)}" for each in systems if each.submits
    ]
    return NotConfigured(
        f"No 311 system of {city} takes requests here: {there} only tells where they stand. An operator has to set "
        f"{', or '.join([*versions, 'up open311 for this city'])}: upsertIntegration. Or report it to the city itself."
    )


def new_request(request: ServiceRequest, caller: CallerInput | None) -> NewServiceRequest:
    """What the city is told; raises ``ValidationError`` for what no city takes."""
    point = None
    if request.latitude is not None and request.longitude is not None:
        point = Point(latitude=request.latitude, longitude=request.longitude)
    told = {"first_name": None, "last_name": None, "phone": None, "email": None}
    if caller is not None:
        told = {name: getattr(caller, name) or None for name in told}
    try:
        return NewServiceRequest(
            reference=request.request_id,
            description=request.description or "",
            service_code=request.service_code,
            agency=request.agency,
            address=request.address,
            postal_code=request.postal_code,
            point=point,
            caller=Caller(**told) if any(told.values()) else None,
            attributes={code: tuple(values) for code, values in request.attributes.items()},
            media_url=request.media_url,
            test=request.test,
        )
    except pydantic.ValidationError as wrong:
        raise _as_ours(wrong) from None


def _as_ours(wrong: pydantic.ValidationError) -> ValidationError:
    """Pydantic's findings without what was given: that may be personal."""
    details = []
    for each in wrong.errors(include_url=False, include_input=False, include_context=False):
        path = [str(part) for part in each["loc"]]
        details.append({"field": ".".join([_MEMBERS.get(path[0], path[0]), *path[1:]]), "message": each["msg"]})
    fields = ", ".join(dict.fromkeys(each["field"] for each in details))
    return ValidationError(f"A city would not take this: correct {fields}. See details.", details=details)


async def read_caller(transaction: Transaction, tenant: str, request_id: str) -> CallerInput | None:
    """Who reported the request, as long as it is known."""
    rows = await transaction.fetch(
        "SELECT first_name, last_name, phone, email FROM lakefront.service_request_callers "
        "WHERE tenant_id = $1 AND request_id = $2",
        *(tenant, request_id),
    )
    return CallerInput(*rows[0]) if rows else None


async def forget_caller(transaction: Transaction, tenant: str, request_id: str) -> None:
    """The city needs nobody's name any more: of who asked to be told, how they are reached stays, of others nothing."""
    await transaction.execute(_FORGET, tenant, request_id)


def taken(request: ServiceRequest, told: ServiceRequestDTO) -> dict[str, Any]:
    """What changes of a request that the city has taken: column to value."""
    now = datetime.now(UTC)
    values = news(request, told) | {"filed_at": request.filed_at or now, "external_token": told.token}
    if told.external_id:
        values["external_id"] = told.external_id
    return values


def news(request: ServiceRequest, told: ServiceRequestDTO) -> dict[str, Any]:
    """What changes of a request by what its city tells of it; ``checked_at`` alone where that comes late."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {"checked_at": now}
    standing = standing_of(request)
    state = request.state if told.state is None else State(told.state)
    if told.state is None and not standing.filed:
        state = State.OPEN
    # A clock that is ahead must not make all later words late.
    since = min(told.updated_at or now, now)
    word = Word(state, Cause.CITY, told.updated_at and since)
    if late(standing, word):
        return values
    reached = after(standing, word)
    values |= {"state": reached.state, "told_at": reached.told_at, "error_code": None, "error_message": None}
    if reached.state is not request.state:
        values["state_at"] = since
        values["closed_at"] = since if reached.state is State.CLOSED else None
    if told.resolution is not None and told.resolution != request.resolution:
        values["resolution_at"] = since
    told_now = {
        "external_status": told.external_status,
        "agency": told.agency,
        "resolution": told.resolution,
        "expected_at": told.expected_at,
        "complaint_type": request.complaint_type or told.service_name,
        "service_code": request.service_code or told.service_code,
        "borough": request.borough or told.borough,
        "postal_code": request.postal_code or told.postal_code,
        "address": request.address or told.address,
    }
    return values | {name: value for name, value in told_now.items() if value is not None}


def standing_of(request: ServiceRequest) -> Standing:
    """Where ``request`` stands."""
    return Standing(request.state, request.told_at, request.filed_at is not None)
