"""``GET /lake/{key}``: an object of the lake, as it is stored (P4, X8).

It is streamed from whatever store there is. Where the store signs links (S3), ``lakeObjects.downloadUrl`` gives one,
which spares this server; a redirect to it from here would not do: clients that keep their Authorization header on the
way are refused by S3, which takes one kind of signature at a time, and the store may be out of the client's reach.
"""

from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from lakefront.actor import PERMITS_INSPECTOR
from lakefront.domain import lake
from lakefront.errors import NotFound, Unavailable
from lakefront.server.bodies import header
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.rest.door import RestRequest

MEDIA = {"gzip": "application/gzip", "zstd": "application/zstd"}
"""The media type of an object, by its compression."""

_KEY = {
    "name": "key",
    "in": "path",
    "required": True,
    "description": "The object's key, its slashes as they are.",
    "schema": {"type": "string"},
    "example": "sf-permit-events/year=2024/month=01/day=15/hour=10/batch-1705314600-001.json.gz",
}

_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags of objects that you have: 304 instead of one of them.",
    "schema": {"type": "string"},
}


@describe(
    get=Operation(
        "Download an object of the lake",
        "Lake",
        {
            200: Answer(
                "The object as it is stored: NDJSON, compressed. Its ETag is its SHA-256 in hex.",
                Content({"type": "string", "format": "binary"}, tuple(MEDIA.values())),
            ),
            304: Answer("You have it: it never changes."),
        },
        "`lakeObjects` (GraphQL) lists the objects with their keys, and with links where the store signs some. Whole "
        "events are in them: that needs permits:inspector besides permits:read.",
        PERMITS_INSPECTOR,
        (_KEY, _IF_NONE_MATCH),
        None,
        (NotFound, Unavailable),
    )
)
async def get_object(request: RestRequest) -> Response:
    """The object with the key in the path, if the manifest of the actor's tenant has it."""
    services = request.doors.services
    row = await lake.find(services, await request.actor(), request.scope["path_params"]["key"])
    name = row["key"].rpartition("/")[2]
    headers = {
        "cache-control": "private, no-cache",  # kept by its reader alone, and asked for each time: tokens end
        "etag": f'"{row["sha256"]}"',
    }
    if _has(header(request.scope["headers"], b"if-none-match"), row["sha256"]):
        return Response(status_code=304, headers=headers)
    headers |= {
        "content-type": MEDIA[row["compression"]],
        "content-length": str(row["stored_bytes"]),
        "content-disposition": f'attachment; filename="{name}"',
    }
    if request.scope["method"] == "HEAD":
        return Response(headers=headers)
    parts = lake.content(services, row)
    first = await anext(parts, b"")  # so that a store that is away is a 503, not a broken 200
    return StreamingResponse(_joined(first, parts), headers=headers)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


def _has(condition: bytes | None, sha256: str) -> bool:
    """Whether the ETags of an If-None-Match header name the object."""
    if condition is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in condition.decode("latin-1").split(",")]
    return "*" in tags or f'"{sha256}"' in tags
