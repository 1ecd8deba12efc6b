"""Permit events as tests write them."""

import json
from typing import Any

BASE: dict[str, Any] = {
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
"""The source document's own event."""


def event(**members: Any) -> dict[str, Any]:
    """The document's event with other members; ``...`` leaves one out."""
    return {name: value for name, value in {**BASE, **members}.items() if value is not ...}


def text(**members: Any) -> bytes:
    """The same as JSON."""
    return json.dumps(event(**members)).encode()


def filed(permit_id: str, at: str, **data: Any) -> dict[str, Any]:
    """A permit is filed, with these details."""
    return event(
        eventId=f"filed-{permit_id}", permitId=permit_id, eventType="permit_filed", timestamp=at, eventData=data
    )
