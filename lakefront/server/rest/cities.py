"""``/cities``: the cities that a tenant serves (C7)."""

from typing import Final

import msgspec
from starlette.responses import Response

from lakefront.actor import INTEGRATIONS_MANAGE, SIGNED_IN
from lakefront.domain import cities
from lakefront.domain.cities import City, CityInput
from lakefront.errors import Unavailable
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.responses import json_response
from lakefront.server.rest.changes import CHANGE_ERRORS, IDEMPOTENCY
from lakefront.server.rest.door import RestRequest
from lakefront.server.rest.json_body import read_json
from lakefront.server.rest.methods import by_method


class CitiesAnswer(msgspec.Struct):
    """A tenant's cities, by their slugs."""

    cities: list[City]


_DRY_RUN: Final = {
    "name": "dry_run",
    "in": "query",
    "description": "Check, but change nothing.",
    "schema": {"type": "boolean", "default": False},
}


@describe(
    get=Operation(
        "List cities",
        "Cities",
        {200: Answer("By their slugs.", Content(CitiesAnswer))},
        "For everybody who is signed in. By GraphQL: `cities`.",
        SIGNED_IN,
        errors=(Unavailable,),
    )
)
async def list_cities(request: RestRequest) -> Response:
    """The tenant's cities."""
    actor = await request.actor(like="cities")
    return json_response(msgspec.json.encode(CitiesAnswer(await cities.cities(request.doors.services, actor))))


@describe(
    put=Operation(
        "Add or change a city",
        "Cities",
        {200: Answer("The city; on a dry run, as it would be.", Content(City))},
        "The one of that slug; what is left out stays as it is. By GraphQL: `upsertCity`.",
        INTEGRATIONS_MANAGE,
        (IDEMPOTENCY, _DRY_RUN),
        Content(CityInput, example={"slug": "bos", "name": "Boston", "time_zone": "America/New_York"}),
        CHANGE_ERRORS,
    )
)
async def put_city(request: RestRequest) -> Response:
    """The city as it is now."""
    actor = await request.actor(like="upsertCity")
    actor.require(INTEGRATIONS_MANAGE)
    dry_run, given = request.flag("dry_run"), await read_json(request, CityInput)
    services, once = request.doors.services, request.idempotency_key()
    city = await cities.upsert(services, actor, given, idempotency_key=once, dry_run=dry_run)
    return json_response(msgspec.json.encode(city))


list_or_put = by_method(get=list_cities, put=put_city)
