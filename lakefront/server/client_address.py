"""Whose address a request comes from, behind proxies that may be believed, and over which scheme.

Whoever connects may write what it likes into ``X-Forwarded-For`` (of old) and ``Forwarded`` (RFC 7239): both are read
from the right, where the nearest proxy wrote, and only as far as the proxies are trusted ones.
"""

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from starlette.types import Scope

from lakefront.server.bodies import Headers

Address = IPv4Address | IPv6Address

MOST_HOPS: Final = 20
"""Proxies in a row that are followed; whoever is behind more counts as the last of them."""

NOBODY: Final = "local"
"""Who asks over a socket without addresses."""

_NODE: Final = re.compile(
    r"\[(?P<six>[0-9a-fA-F:.]+)\](?::\d{1,5})?|(?P<four>[0-9.]+)(?::\d{1,5})?|(?P<bare>[0-9a-fA-F:.]+)"
)
_PAIR: Final = re.compile(r'\s*(?P<name>[\w-]+)=(?:"(?P<quoted>[^"\\]*)"|(?P<token>[^\s;,"]*))\s*', re.ASCII)


class ClientAddresses:
    """Finds the clients of requests behind ``trusted`` proxies (addresses or networks)."""

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._trusted = [ip_network(network) for network in trusted]

    def of(self, scope: Scope) -> Address | None:
        """The address of the client of an HTTP or WebSocket request; ``None`` where the connection has none.

        Where a proxy's header is malformed, or two headers disagree (one of them was passed on as the client wrote
        it), it is the address of the last hop that can be relied on.
        """
        peer = _address((scope.get("client") or ("",))[0])
        if peer is None or not self._is_trusted(peer):
            return peer
        headers: Headers = scope["headers"]
        found = {
            self._follow(peer, hops)
            for name, read in ((b"x-forwarded-for", _node), (b"forwarded", _for))
            if (hops := [read(element) for element in _from_the_right(headers, name)])
        }
        return found.pop() if len(found) == 1 else peer

    def is_https(self, scope: Scope) -> bool:
        """Whether the client speaks TLS: with this server or, as ``X-Forwarded-Proto`` says, with a trusted proxy."""
        if scope["scheme"] in ("https", "wss"):
            return True
        if not self._trusted:
            return False
        peer = _address((scope.get("client") or ("",))[0])
        if peer is None or not self._is_trusted(peer):
            return False
        said = next(_from_the_right(scope["headers"], b"x-forwarded-proto"), "")
        return said.lower() in ("https", "wss")

    def _follow(self, peer: Address, hops: Sequence[Address | None]) -> Address:
        at = peer
        for hop in hops:
            if hop is None or not self._is_trusted(at):
                break
            at = hop
        return at

    def _is_trusted(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._trusted)


def bucket(address: Address | None) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 one, which its holder has all of."""
    if address is None:
        return NOBODY
    if isinstance(address, IPv4Address):
        return str(address)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def _from_the_right(headers: Headers, name: bytes) -> Iterator[str]:
    """The elements of a list that may be spread over several headers, the last first."""
    # No proxy writes a comma into a quoted address: an element that is torn apart here is malformed, and ends the walk.
    values = [value for key, value in headers if key == name]
    if values:
        text = b",".join(values).decode("latin-1")
        yield from (element.strip() for element in reversed(text.rsplit(",", MOST_HOPS)[-MOST_HOPS:]))


def _for(element: str) -> Address | None:
    """The address that an element of ``Forwarded`` is for; ``None`` if it names none, or is malformed."""
    found: list[str] = []
    for part in element.split(";"):
        pair = _PAIR.fullmatch(part)
        if pair is None:
            return None
        if pair["name"].lower() == "for":
            found.append(pair["token"] if pair["quoted"] is None else pair["quoted"])
    return _node(found[0]) if len(found) == 1 else None


def _node(text: str) -> Address | None:
    """The address in ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``; ``None`` in others."""
    node = _NODE.fullmatch(text)
    return None if node is None else _address(node["six"] or node["four"] or node["bare"])


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
