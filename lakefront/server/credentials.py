"""What a client signs in with: a bearer token or an API key, and on whose behalf it says to act (T4, C9)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from lakefront.errors import BadRequest, Unauthenticated

MAX_USER_ID: Final = 200
"""Characters of an ``X-User-ID``."""

AUTHORIZATION: Final = "authorization"
API_KEY: Final = "x-api-key"
USER_ID: Final = "x-user-id"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The texts as they came, not looked at yet: at most one of ``authorization`` and ``api_key`` is there.

    ``user_id`` is for the audit trail alone: whoever holds the token may write there what they like. None of them
    belongs into a log, so that their ``repr`` shows nothing.
    """

    authorization: str | None = None
    api_key: str | None = None
    user_id: str | None = None

    def __post_init__(self) -> None:
        """Raises ``Unauthenticated`` for both kinds at once, ``BadRequest`` for a user id that is none."""
        if self.authorization is not None and self.api_key is not None:
            raise Unauthenticated(
                "Both Authorization and X-API-Key were sent. Send one of them.", problem="invalid_request"
            )
        if self.user_id is not None and not (0 < len(self.user_id) <= MAX_USER_ID and self.user_id.isprintable()):
            raise BadRequest(f"X-User-ID must have 1 to {MAX_USER_ID} printable characters. Shorten or leave it out.")

    def __repr__(self) -> str:
        return "Credentials(…)"

    @classmethod
    def of_headers(cls, headers: Iterable[tuple[bytes, bytes]]) -> Self:
        """Those of a request, or of a WebSocket's handshake.

        Raises ``Unauthenticated`` for one that came twice and for both kinds at once, ``BadRequest`` as above.
        """
        found: dict[str, bytes] = {}
        for raw_name, value in headers:
            name = _HEADERS.get(raw_name)
            if name is None:
                continue
            if name in found:
                raise _twice(name)
            found[name] = value
        if not found:
            return cls()
        return cls(_latin(found.get(AUTHORIZATION)), _latin(found.get(API_KEY)), _utf8(found.get(USER_ID)))

    @classmethod
    def of_init(cls, payload: Mapping[str, Any], handshake: Self) -> Self:
        """Those of a ``connection_init``, names in whatever case; what it has not comes from the ``handshake``.

        A token or a key in the payload counts instead of either in the handshake. Raises ``BadRequest`` for one that
        is no string or there twice, else as above.
        """
        found: dict[str, str] = {}
        for given, value in payload.items():
            name = given.lower()
            if name not in _NAMES or value is None:
                continue
            if not isinstance(value, str) or name in found:
                raise BadRequest(f"The payload's {_NAMES[name]} must be one string")
            found[name] = value
        user_id = found.get(USER_ID, handshake.user_id)
        if AUTHORIZATION in found or API_KEY in found:
            return cls(found.get(AUTHORIZATION), found.get(API_KEY), user_id)
        return cls(handshake.authorization, handshake.api_key, user_id)


_NAMES: Final = {AUTHORIZATION: "Authorization", API_KEY: "X-API-Key", USER_ID: "X-User-ID"}
_HEADERS: Final = {name.encode(): name for name in _NAMES}


def _twice(name: str) -> Exception:
    if name == USER_ID:
        return BadRequest("X-User-ID came more than once. Send it once.")
    return Unauthenticated(f"{_NAMES[name]} came more than once. Send it once.", problem="invalid_request")


def _latin(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _utf8(value: bytes | None) -> str | None:
    """A name may be one in any script; bytes that are no UTF-8 become a character that no name has."""
    return None if value is None else value.decode("utf-8", "replace").replace("\ufffd", "\0")
