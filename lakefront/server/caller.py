"""Whoever sends requests over a connection: what their heads have in common, looked at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from lakefront.errors import LakefrontError
from lakefront.server.auth.authenticator import Key, key_of
from lakefront.server.bodies import require_json
from lakefront.server.client_address import ClientAddresses
from lakefront.server.compression import coding_for
from lakefront.server.cors import shared_with
from lakefront.server.credentials import Credentials
from lakefront.server.cycle import known_line
from lakefront.server.graphql_http import VARY, json_type, wanted_by
from lakefront.server.graphql_sse import EVENT_STREAM
from lakefront.server.hosts import Hosts
from lakefront.server.limits.meter import fingerprint_of
from lakefront.server.origins import check_origin
from lakefront.server.security_headers import hardened
from lakefront.settings import Settings

_VARYING: Final = frozenset({b"content-length", b"traceparent", b"tracestate"})
"""Headers that differ from request to request and say nothing of whoever asks."""

_SPECIAL: Final = frozenset(
    {b"content-encoding", b"expect", b"last-event-id", b"transfer-encoding", b"upgrade", b"x-user-id"}
)
"""Headers that nothing is to be known of beforehand: with them a request goes the long way."""

Pair = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known of whoever sends requests with ``headers`` (those that vary left out) over a connection.

    ``head`` is that of a success: its status line, and headers that are the same each time.
    """

    headers: list[Pair]
    key: Key
    fingerprint: int | None
    media: str
    origin: str | None
    coding: str | None
    over_tls: bool
    head: bytes

    def told(self, headers: Iterable[Pair]) -> list[Pair]:
        """``headers`` of an answer with those that every answer to this caller has."""
        return hardened(shared_with(self.origin, headers), over_tls=self.over_tls)


class Head(Protocol):
    """The head of a request, and the connection that it came over."""

    headers: list[Pair]
    client: tuple[str, int] | None
    caller: Caller | None
    """Who sent the request before, to be kept for the next one."""

    @property
    def scheme(self) -> str | None:
        """``http`` or ``https``."""


class Callers:
    """Knows callers by their heads, by the rules of every door."""

    def __init__(self, settings: Settings, addresses: ClientAddresses) -> None:
        self._hosts = Hosts(settings.host, settings.allowed_hosts)
        self._origins = settings.allowed_origins
        self._compressing = settings.compress_from > 0
        self._addresses = addresses

    def of(self, head: Head) -> Caller | None:
        """Who sent the request; ``None`` where that is to be looked at, or refused, the long way."""
        headers = [pair for pair in head.headers if pair[0] not in _VARYING]
        known = head.caller
        if known is None or known.headers != headers:
            try:
                known = head.caller = self._known(headers, head)
            except LakefrontError:
                known = head.caller = None
        return known

    def _known(self, headers: list[Pair], head: Head) -> Caller | None:
        """Raises ``LakefrontError`` for what is refused."""
        self._hosts.check(headers)
        origin = check_origin(headers, self._origins)
        require_json(headers)
        media = wanted_by(headers).media
        credentials = Credentials.of_headers(headers)
        if media == EVENT_STREAM or not _SPECIAL.isdisjoint([name for name, _ in headers]):
            return None
        over_tls = self._addresses.is_https({"scheme": head.scheme, "client": head.client, "headers": headers})
        own = [(b"content-type", json_type(media).encode()), (b"vary", VARY.encode())]
        lines = [known_line(*pair) for pair in hardened(shared_with(origin, own), over_tls=over_tls)]
        return Caller(
            headers=headers,
            key=key_of(credentials),
            fingerprint=fingerprint_of(credentials),
            media=media,
            origin=origin,
            coding=coding_for(headers) if self._compressing else None,
            over_tls=over_tls,
            head=b"".join((STATUS_LINE[200], *lines)),
        )
