"""A small JSON body as a typed thing, for the doors of people and programs that manage."""

from typing import Any, Final, TypeVar

import msgspec

from lakefront.errors import BadRequest, PayloadTooLarge, ValidationError
from lakefront.server.bodies import header, read_body, require_json
from lakefront.server.rest.door import RestRequest

T = TypeVar("T", bound=msgspec.Struct)

LIMIT: Final = 16 * 1024
"""Bytes of such a body, sent and unpacked."""

MOST_TOLD: Final = 20
"""Wrong fields that are told of one body."""

_MOST_NAME: Final = 100
"""Characters that are told of a field's name, which the client chose."""


async def read_json(request: RestRequest, kind: type[T]) -> T:
    """The body as a ``kind``; its defaults where there is no body at all, if it has one for every member.

    Raises ``ValidationError`` for another shape (which fields, why), ``BadRequest`` for what is no JSON, and what
    ``read_body`` raises.
    """
    headers = request.scope["headers"]
    with request.doors.budget.share() as share:
        timeout = request.doors.services.settings.body_timeout
        try:
            body = await read_body(headers, request.receive, limit=LIMIT, timeout=timeout, share=share)
        except PayloadTooLarge:
            told = f"The body exceeds {LIMIT} bytes, as sent or unpacked. Send the one small object that is asked for."
            raise PayloadTooLarge(told) from None
    if body or header(headers, b"content-type") is not None:
        require_json(headers)
    try:
        try:
            return msgspec.json.decode(body or b"{}", type=kind)
        except msgspec.ValidationError as first:
            raise _invalid(_wrong(msgspec.json.decode(body or b"{}"), kind) or [_told(first)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not well-formed UTF-8 JSON. Send one JSON object.") from None


def _wrong(given: Any, kind: type[msgspec.Struct]) -> list[dict[str, str]]:
    """What is wrong with each field of ``given``: those that are missing, those of another type, unknown ones."""
    if not isinstance(given, dict):
        return []
    wrong = []
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        if name in given:
            try:
                msgspec.convert(given[name], field.type)
            except msgspec.ValidationError as error:
                wrong.append(_told(error, name))
        elif field.required:
            wrong.append({"field": name, "message": "This field is missing"})
    if kind.__struct_config__.forbid_unknown_fields:
        reason = f"There is no such field; leave it out (there is {', '.join(fields) or 'none'})"
        wrong += [{"field": name[:_MOST_NAME], "message": reason} for name in given if name not in fields]
    return wrong


def _told(error: msgspec.ValidationError, name: str = "") -> dict[str, str]:
    """One error of msgspec, which has the path within the field at its end."""
    reason, _, path = str(error).partition(" - at `$")
    return {"field": f"{name}{path.rstrip('`')}".lstrip("."), "message": reason}


def _invalid(wrong: list[dict[str, str]]) -> ValidationError:
    told = wrong[:MOST_TOLD]
    reasons = "; ".join(": ".join(filter(None, (one["field"], one["message"]))) for one in told)
    return ValidationError(f"The body is not valid. {reasons}.", details=told)
