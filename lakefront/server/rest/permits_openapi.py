"""How ``POST /sf-permit-events`` is told in the OpenAPI document; its schemas are the types that check the events."""

from typing import Any, Final

import msgspec

from lakefront.domain.permits.payloads import DATA_TYPES, PermitEventMessage
from lakefront.server.openapi import Content

EXAMPLE: Final = [
    {
        "eventId": "evt_12345",
        "permitId": "PRM2024-001234",
        "eventType": "status_change",
        "timestamp": "2024-01-15T10:30:00Z",
        "eventData": {
            "previousStatus": "under_review",
            "newStatus": "approved",
            "changedBy": "inspector_smith",
            "reason": "All requirements met",
        },
    }
]
"""The source document's own event."""

ATOMIC: Final = {
    "name": "atomic",
    "in": "query",
    "description": "Take all events or, if one is refused, none (400).",
    "schema": {"type": "boolean", "default": False},
}

ENCODING: Final = {
    "name": "Content-Encoding",
    "in": "header",
    "description": "How the body is packed; its limit of 25 MB holds for what is sent and for what it unpacks to.",
    "schema": {"type": "string", "enum": ["gzip", "identity"]},
}

_REF: Final = "#/components/schemas/{name}"


def events() -> Content:
    """A JSON array of events: the type of an event decides what its ``eventData`` has."""
    data_types = sorted(set(DATA_TYPES.values()), key=lambda kind: kind.__name__)
    (_, *data), components = msgspec.json.schema_components([PermitEventMessage, *data_types], ref_template=_REF)
    variants = {}
    mapping: dict[str, str] = {}
    for kind, schema in zip(data_types, data, strict=True):
        types = [name for name, its in DATA_TYPES.items() if its is kind]
        name = f"{kind.__name__}Event"
        variants[name] = _variant(components["PermitEventMessage"], name, types, schema)
        mapping |= dict.fromkeys(types, _REF.format(name=name))
    components["PermitEvent"] = {
        "oneOf": [{"$ref": _REF.format(name=name)} for name in variants],
        "discriminator": {"propertyName": "eventType", "mapping": mapping},
    }
    del components["PermitEventMessage"]
    return Content(
        {"type": "array", "items": {"$ref": _REF.format(name="PermitEvent")}},
        example=EXAMPLE,
        components={**components, **variants},
    )


def _variant(envelope: dict[str, Any], name: str, types: list[str], data: Any) -> dict[str, Any]:
    """The envelope with these event types and this ``eventData``, which may carry further members."""
    properties = {**envelope["properties"], "eventType": {"type": "string", "enum": types}, "eventData": data}
    return {**envelope, "title": name, "properties": properties}
