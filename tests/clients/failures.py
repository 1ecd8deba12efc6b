"""What every client shows of what can go wrong: our message and `extensions.code`."""

from typing import Any, Final

NO_TOKEN: Final = "This token does not hold: expired, malformed or not ours. Get a new one."

NOT_A_CURSOR: Final = {
    "message": "This is not a cursor. Pass one exactly as it came with an event, or leave it out.",
    "code": "VALIDATION_ERROR",
}

FAILURES: Final[dict[str, dict[str, Any]]] = {
    "wrongToken": {"message": NO_TOKEN, "code": "UNAUTHENTICATED"},
    "refused": {
        "message": "The document has more aliases (with fragments spread) than the 50 allowed. Ask for less at once.",
        "code": "OPERATION_REFUSED",
    },
    "invalid": {
        "message": "Cannot query field 'noSuchField' on type 'PermitConnection'.",
        "code": "VALIDATION_ERROR",
    },
    "outOfRange": {
        "message": "The argument is not valid at first: Ask for 0 to 1000 rows at once; go on with the page's cursors.",
        "code": "VALIDATION_ERROR",
    },
    "forbidden": {
        "message": "The field 'Mutation.ingestPermitEvents' needs the scope 'permits:write'. Leave it out, "
        "or ask for a token with a role that has it.",
        "code": "FORBIDDEN",
    },
    "nothingValid": {
        "message": "No event was valid. See details for the event, the field and the reason.",
        "code": "VALIDATION_ERROR",
    },
}
"""By the names that the scripts use."""
