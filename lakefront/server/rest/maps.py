"""``GET /maps/tiles/…``: tiles of maps, drawn by Mapbox, whose token stays here (C8)."""

import re
from typing import Any, Final

from starlette.responses import Response

from lakefront.actor import PLACES_READ
from lakefront.domain import maps
from lakefront.errors import (
    NotConfigured,
    Unavailable,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    ValidationError,
)
from lakefront.server.bodies import header
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.rest.door import RestRequest

PATH: Final = "/maps/tiles/{owner}/{style}/{zoom}/{column}/{row}"

TILES: Final = {"mapTile": "1200/minute"}
"""What one user or key may fetch. A map shows some dozens at once, so they do not count as other requests do (C11)."""

PICTURES: Final = ("image/png", "image/jpeg", "image/webp")
"""What a tile may be: nothing that a browser would run."""

UNCHANGED: Final = 3600
"""Seconds for which a tile that did not change is not asked for again."""

_NUMBER: Final = re.compile(r"[0-9]{1,8}", re.ASCII)
_ETAG: Final = re.compile(rb'(?:W/)?"[!#-~]{0,100}"')


def _parameter(name: str, description: str, example: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "example": example,
        "schema": {"type": "integer", "minimum": 0} if isinstance(example, int) else {"type": "string"},
    }


_PARAMETERS: Final = (
    _parameter("owner", "Whose style it is.", "mapbox"),
    _parameter("style", "The style.", "streets-v12"),
    _parameter("zoom", "0 to 22.", 12),
    _parameter("column", "From the west, 0 to 2^zoom - 1.", 1205),
    _parameter("row", "From the north, 0 to 2^zoom - 1; with @2x behind it, with twice as many pixels.", "1539@2x"),
    {
        "name": "If-None-Match",
        "in": "header",
        "description": "The ETag of the tile that you have: 304 if it is still the same.",
        "schema": {"type": "string"},
    },
)


@describe(
    get=Operation(
        "Get a tile of a map",
        "Maps",
        {
            200: Answer(
                "The picture, of 512 by 512 points. Cache-Control says for how long it may be kept.",
                Content({"type": "string", "format": "binary"}, PICTURES),
            ),
            304: Answer("You have it already."),
        },
        "Of the tenant's Mapbox, whose token nobody sees, and in whose daily quota each counts. For Leaflet: "
        "`L.tileLayer` with `tileSize: 512, zoomOffset: -1`.",
        PLACES_READ,
        _PARAMETERS,
        errors=(ValidationError, NotConfigured, UpstreamError, UpstreamDenied, UpstreamRejected, Unavailable),
    )
)
async def get_tile(request: RestRequest) -> Response:
    """The tile at the path."""
    actor = await request.actor(counted=False, like="mapTile")
    given = request.scope["path_params"]
    row, dense = given["row"].removesuffix("@2x"), given["row"].endswith("@2x")
    numbers = [_number(text) for text in (given["zoom"], given["column"], row)]
    style, known = f"{given['owner']}/{given['style']}", _etag(request)
    services, trace_id = request.doors.services, request.trace_id
    tile = await maps.tile(services, actor, style, *numbers, dense=dense, etag=known, trace_id=trace_id)
    if tile is None:
        return Response(status_code=304, headers={"cache-control": f"private, max-age={UNCHANGED}", "etag": known})
    if tile.media_type not in PICTURES:
        raise UpstreamError("Mapbox answered with what is no picture. Try again in a while.")
    # Private: it is for whoever may ask, and a shared cache does not know who that is.
    headers = {"cache-control": f"private, max-age={tile.fresh_seconds}", "content-type": tile.media_type}
    return Response(tile.body, headers=headers | ({"etag": tile.etag} if tile.etag else {}))


def _number(text: str) -> int:
    """Raises ``ValidationError`` for what is no small number."""
    if not _NUMBER.fullmatch(text):
        raise ValidationError("Zoom, column and row are numbers: /maps/tiles/mapbox/streets-v12/12/1205/1539.")
    return int(text)


def _etag(request: RestRequest) -> str:
    """The one ETag that the client has; '' for none, or several."""
    given = header(request.scope["headers"], b"if-none-match")
    return given.decode("ascii") if given is not None and _ETAG.fullmatch(given) else ""
