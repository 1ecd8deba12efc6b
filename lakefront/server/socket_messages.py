"""The messages of ``graphql-transport-ws``: what a client may send, checked strictly, and the codes of a close.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from lakefront.errors import BadRequest, Unauthenticated
from lakefront.graphql.answers import OperationRequest
from lakefront.server.bodies import parse_json
from lakefront.server.credentials import Credentials
from lakefront.server.graphql_http import ENVELOPE_DEPTH, operation_request

SUBPROTOCOL: Final = "graphql-transport-ws"

MAX_ID: Final = 128
"""Characters of an operation's id; clients use numbers or UUIDs."""

PAYLOAD_DEPTH: Final = ENVELOPE_DEPTH + 1
"""Levels of JSON around the variables: the message and its payload."""


class Close(IntEnum):
    """Why the server closes a socket; 4xxx are the protocol's own."""

    INTERNAL = 1011
    TRY_AGAIN_LATER = 1013
    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    DUPLICATE_ID = 4409
    TOO_MANY_INITS = 4429


NO_CODE: Final = 1005
"""Of a socket whose client left without a word (RFC 6455, 7.1.5)."""

TOLD_CODES: Final = frozenset({*range(1000, 1004), *range(NO_CODE, 1015), *Close})
"""The codes by which closes are counted: the standard's and ours, as a client may make up any."""


class CloseSocket(Exception):
    """The socket cannot go on: it is closed with ``code`` and ``reason``."""

    def __init__(self, code: Close, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code}: {reason}")


@dataclass(frozen=True, slots=True)
class Init:
    """``connection_init``: who asks, in a payload of the client's choice."""

    payload: dict[str, Any]

    def credentials(self, handshake: Credentials) -> Credentials:
        """Who asks; raises ``CloseSocket`` if what says so is malformed, or both a token and a key."""
        try:
            return Credentials.of_init(self.payload, handshake)
        except BadRequest as error:
            raise CloseSocket(Close.BAD_MESSAGE, error.message) from None
        except Unauthenticated as error:
            raise CloseSocket(Close.FORBIDDEN, f"Forbidden: {error.message}") from None


@dataclass(frozen=True, slots=True)
class Ping:
    """``ping``: answered by a ``pong`` with the same payload."""

    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Pong:
    """``pong``: a sign of life, nothing to do."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """``subscribe``: run an operation of any kind under ``id``; the message had ``size`` characters."""

    id: str
    request: OperationRequest
    size: int


@dataclass(frozen=True, slots=True)
class Complete:
    """``complete``: stop the operation ``id``."""

    id: str


Message = Init | Ping | Pong | Subscribe | Complete


def read_message(text: str | None, *, max_depth: int) -> Message:
    """The message in one frame (``None``: a binary one), its variables at most ``max_depth`` levels deep.

    Raises ``CloseSocket`` (4400) for everything that is not exactly a client's message of the protocol.
    """
    if text is None:
        raise CloseSocket(Close.BAD_MESSAGE, "Binary frames are not served; send JSON as text")
    try:
        body = parse_json(text.encode(), max_depth=max_depth + PAYLOAD_DEPTH, what="The message")
        return _message(body, len(text))
    except BadRequest as error:
        raise CloseSocket(Close.BAD_MESSAGE, error.message) from None


def _message(body: Any, size: int) -> Message:
    if not isinstance(body, dict):
        raise CloseSocket(Close.BAD_MESSAGE, "A message must be a JSON object")
    match body.get("type"):
        case "connection_init":
            return Init(_object_or_none(body) or {})
        case "ping":
            return Ping(_object_or_none(body))
        case "pong":
            _object_or_none(body)
            return Pong()
        case "subscribe":
            if not isinstance(body.get("payload"), dict):
                raise CloseSocket(Close.BAD_MESSAGE, "The payload of subscribe must be an object")
            return Subscribe(_id(body), operation_request(body["payload"]), size)
        case "complete":
            return Complete(_id(body))
        case _:
            raise CloseSocket(Close.BAD_MESSAGE, "The member 'type' names no message that a client may send")


def _object_or_none(body: dict[str, Any]) -> dict[str, Any] | None:
    payload = body.get("payload")
    if not isinstance(payload, dict | None):
        raise CloseSocket(Close.BAD_MESSAGE, "The member 'payload' must be an object or null")
    return payload


def _id(body: dict[str, Any]) -> str:
    name = body.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_ID:
        raise CloseSocket(Close.BAD_MESSAGE, f"The member 'id' must be a string of 1 to {MAX_ID} characters")
    return name
