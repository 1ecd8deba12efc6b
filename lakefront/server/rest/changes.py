"""What the doors that change something have in common, as ``/openapi.json`` tells it (X2)."""

from typing import Any, Final

from lakefront.errors import (
    BadRequest,
    Conflict,
    IdempotencyConflict,
    LakefrontError,
    PayloadTooLarge,
    RequestTimeout,
    Unavailable,
    UnsupportedMediaType,
    ValidationError,
)

IDEMPOTENCY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same body changes nothing more.",
    "schema": {"type": "string", "maxLength": 200},
}

CHANGE_ERRORS: Final[tuple[type[LakefrontError], ...]] = (
    *(ValidationError, BadRequest, RequestTimeout, PayloadTooLarge, UnsupportedMediaType),
    *(Conflict, IdempotencyConflict, Unavailable),
)
"""What a small body, and a change that is not made twice, are refused with."""
