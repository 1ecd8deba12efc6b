"""Connections to outside systems: httpcore, the engine of httpx, without the browser around it (ADR 0027).

A pool for each origin, so that one provider's connections are never another's. No cookies, redirects, proxies of the
environment, HTTP/2 or unpacking by the library: each would be state that tenants share, or trust in what is answered.
"""

import asyncio
import logging
import ssl
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, NamedTuple

import httpcore
import httpx

from lakefront.adapters.calls.policy import Policy

MOST_POOLS: Final = 256
"""Origins whose connections are kept; past that those used longest ago are closed."""

KEEP: Final = 15.0
"""Seconds that an idle connection is kept: less than most servers do, so that it is seldom closed as it is used."""

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")

_NAT64: Final = ip_network("64:ff9b::/96")
"""How a network that has IPv6 alone reaches IPv4 (RFC 6052): also private addresses, if its gateway does."""

_UNICAST: Final = ip_network("2000::/3")


class Origin(NamedTuple):
    """Whose connections these are. What changes something there (``fresh``) gets a connection of its own.

    A connection that was kept may be closed by the other side just as it is used, and then nobody knows whether the
    request was read: where it may not be made again, a handshake is the lesser evil.
    """

    scheme: str
    host: str
    port: int
    fresh: bool


class Watch:
    """Sees whether anything of a request was sent, by what httpcore tells of each step."""

    sent = False

    async def __call__(self, step: str, _: Mapping[str, Any]) -> None:
        """A step begins or ends."""
        if step == "http11.send_request_headers.started":
            self.sent = True


class Connections:
    """All pools of a server process."""

    def __init__(self, policy: Policy, *, networks: Iterable[str]) -> None:
        """``networks``: private ones that may be reached; of public addresses all may."""
        # Their debug lines hold headers; ours at that level would let them through.
        logging.getLogger("httpcore").setLevel(logging.INFO)
        self._policy = policy
        self._backend = _Reach([ip_network(network) for network in networks])
        self._pools: OrderedDict[Origin, httpcore.AsyncConnectionPool] = OrderedDict()
        self._trust: ssl.SSLContext | None = None

    async def stream(
        self,
        origin: Origin,
        target: bytes,
        method: str,
        headers: list[tuple[bytes, bytes]],
        body: bytes | None,
        seconds: float,
        watch: "Watch | None" = None,
    ) -> AbstractAsyncContextManager[httpcore.Response]:
        """The answer, its body yet to be read; raises what httpcore does.

        ``seconds`` are for each wait; ``watch`` is told when sending begins.
        """
        pool = self._pools.get(origin) or await self._opened(origin)
        self._pools.move_to_end(origin)
        url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=target)
        connect = min(self._policy.connect_timeout, seconds)
        timeouts: Mapping[str, Any] = {"connect": connect, "pool": connect, "read": seconds, "write": seconds}
        extensions = {"timeout": timeouts} if watch is None else {"timeout": timeouts, "trace": watch}
        return pool.stream(method, url, headers=headers, content=body, extensions=extensions)

    async def close(self) -> None:
        """Close all of them."""
        while self._pools:
            await self._pools.popitem()[1].aclose()

    async def _opened(self, origin: Origin) -> httpcore.AsyncConnectionPool:
        if self._trust is None and origin.scheme == "https":
            # Made once, in a thread: reading all the world's authorities takes 20 ms and more. An operator with others
            # names them in SSL_CERT_FILE.
            self._trust = await asyncio.to_thread(httpx.create_ssl_context)
        if len(self._pools) >= MOST_POOLS:
            idle = next(
                (each for each, pool in self._pools.items() if all(c.is_idle() for c in pool.connections)), None
            )
            if idle is not None:
                await self._pools.pop(idle).aclose()
        return self._pools.setdefault(
            origin,
            httpcore.AsyncConnectionPool(
                ssl_context=self._trust,
                max_connections=None,  # bulkheads are what bounds them
                max_keepalive_connections=0 if origin.fresh else self._policy.at_once,
                keepalive_expiry=KEEP,
                http2=False,
                network_backend=self._backend,
            ),
        )


class _Reach(httpcore.AnyIOBackend):
    """Connects to public addresses, and to private ones that are allowed: base URLs are a tenant's own setting.

    The address is looked at when the connection is there and nothing has been sent: whatever the name resolved to.
    """

    def __init__(self, networks: list[IPv4Network | IPv6Network]) -> None:
        self._networks = networks

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        if not self._allowed(stream.get_extra_info("server_addr")):
            await stream.aclose()
            raise httpcore.ConnectError("the name leads to a private address")
        return _Closed(stream)

    def _allowed(self, peer: Any) -> bool:
        address = _reached(ip_address(str(peer[0]).partition("%")[0]))
        return _is_public(address) or any(address in network for network in self._networks)


class _Closed(httpcore.AsyncNetworkStream):
    """A connection that is closed when its handshake ends in whatever, be it that the call is cancelled.

    httpcore then forgets it open: a server that says nothing would hold it as long as it likes.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self.read, self.write, self.aclose = stream.read, stream.write, stream.aclose  # type: ignore[method-assign]
        self.get_extra_info = stream.get_extra_info  # type: ignore[method-assign]
        self._start_tls = stream.start_tls

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
    ) -> httpcore.AsyncNetworkStream:
        """Speak TLS from now on."""
        try:
            return await self._start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self.aclose()
            raise


def _reached(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Whom an address leads to: an IPv6 one that stands for an IPv4 one is that."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is anybody's; of IPv6 what is given out to the public alone (2000::/3): Python calls more so."""
    return address.is_global and (isinstance(address, IPv4Address) or address in _UNICAST)
