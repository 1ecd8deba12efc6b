"""A small JSON body as a typed thing, for the doors of people and programs that manage."""

from typing import Final, TypeVar

import msgspec

from lakefront.errors import BadRequest, ValidationError
from lakefront.server.bodies import header, read_body, require_json
from lakefront.server.rest.door import RestRequest

T = TypeVar("T", bound=msgspec.Struct)

LIMIT: Final = 16 * 1024
"""Bytes of such a body, sent and unpacked."""


async def read_json(request: RestRequest, kind: type[T]) -> T:
    """The body as a ``kind``; its defaults where there is no body at all, if it has one for every member.

    Raises ``ValidationError`` for another shape (which field, why), ``BadRequest`` for what is no JSON, and what
    ``read_body`` raises.
    """
    headers = request.scope["headers"]
    with request.doors.budget.share() as share:
        timeout = request.doors.services.settings.body_timeout
        body = await read_body(headers, request.receive, limit=LIMIT, timeout=timeout, share=share)
    if body or header(headers, b"content-type") is not None:
        require_json(headers)
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as wrong:
        reason, _, path = str(wrong).partition(" - at `$")
        message = f"The body is not valid{f' at {field}' if (field := path.strip('.`')) else ''}: {reason}."
        raise ValidationError(message, details=[{"field": field, "message": reason}]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not well-formed UTF-8 JSON. Send one JSON object.") from None
