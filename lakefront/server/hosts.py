"""Under which names the server answers; a page of a site that points its own name at us (DNS rebinding) gets 421.

Such a page is of the server's origin in a browser's eyes, so that no other check sees it; only ``Host`` tells. An
address in place of a name cannot be pointed anywhere: where the server listens beyond loopback any address will do.
"""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from lakefront.errors import BadRequest, LakefrontError
from lakefront.server.bodies import Headers, header
from lakefront.server.responses import refusal
from lakefront.tracing import new_trace_id

ANY: Final = "*"
"""As an allowed host: whatever name it is, for servers behind a proxy that checks names itself."""

MOST_KNOWN: Final = 100
"""Values of ``Host`` that are known to be the server's: others are looked at each time."""

UNCHECKED: Final = frozenset({"/health"})
"""Paths that answer under every name: a prober knows an address or a service's name, and learns nothing."""

_log = logging.getLogger("lakefront.server.hosts")


class MisdirectedRequest(LakefrontError):
    """The request names a host that this server does not answer for (RFC 9110, 15.5.20)."""

    code, status = "misdirected_request", 421
    default_message = "This server does not answer under that name. Add the host to LAKEFRONT_ALLOWED_HOSTS."


class Hosts:
    """The names of this server."""

    def __init__(self, bound: str, allowed: Sequence[str]) -> None:
        """``bound`` is the address or name that the server listens on, ``allowed`` the further names."""
        self._any = ANY in allowed
        self._names = {"localhost", _bare(bound), *(_bare(name) for name in allowed)}
        self._loopback_only = _is_loopback(_bare(bound))
        self._known = lru_cache(maxsize=MOST_KNOWN)(self._require_ours)

    def check(self, headers: Headers) -> None:
        """Pass if a request is meant for this server; raises ``MisdirectedRequest``, ``BadRequest`` for two hosts."""
        named = header(headers, b"host")
        # Every browser names a host; probers that speak HTTP/1.0 do not.
        if named is not None and not self._any:
            self._known(named)

    def _require_ours(self, named: bytes) -> None:
        host, port = split_authority(named.decode("latin-1"))
        if port and not port.isdecimal():
            raise BadRequest("The header host is malformed. Send host, or host:port.")
        if host not in self._names and not self._is_harmless(host):
            raise MisdirectedRequest

    def _is_harmless(self, host: str) -> bool:
        address = _address(host)
        return address is not None and (address.is_loopback or not self._loopback_only)


class HostCheck:
    """An ASGI application that passes on what is meant for this server, HTTP and WebSocket alike."""

    def __init__(
        self, app: ASGIApp, bound: str, allowed: Sequence[str], refused: Callable[[int], None] = lambda _: None
    ) -> None:
        """``bound`` and ``allowed`` as for ``Hosts``; ``refused`` is told the status of each refusal."""
        self._app = app
        self._hosts = Hosts(bound, allowed)
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 421; with 400 where it has two hosts."""
        if scope["type"] in ("http", "websocket") and scope["path"] not in UNCHECKED:
            try:
                self._hosts.check(scope["headers"])
            except LakefrontError as error:
                trace_id = new_trace_id()
                _log.info("request refused trace_id=%s code=%s status=%d", trace_id, error.code, error.status)
                self._refused(error.status)
                await refusal(scope, error, trace_id)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def split_authority(authority: str) -> tuple[str, str]:
    """(host, port) of ``host:port`` in lower case, the port ``""`` if there is none; IPv6 loses its brackets."""
    authority = authority.strip().lower()
    if authority.endswith("]"):
        return _bare(authority), ""
    host, colon, port = authority.rpartition(":")
    return (_bare(host), port) if colon else (_bare(authority), "")


def _bare(host: str) -> str:
    return host.lower().removesuffix(".").removeprefix("[").removesuffix("]")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)
