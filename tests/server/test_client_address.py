"""Whose address counts: what trusted proxies say, from the right; what anybody else writes does not help."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakefront.server.client_address import MOST_HOPS, ClientAddresses, bucket

PROXIES = ("10.0.0.0/8", "2001:db8:1::/48")
ADDRESSES = ClientAddresses(PROXIES)


def scope(peer: str | None, *headers: tuple[str, str], scheme: str = "http") -> dict[str, Any]:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return {"type": "http", "scheme": scheme, "client": (peer, 4711) if peer else None, "headers": raw}


def found(peer: str, *headers: tuple[str, str]) -> str:
    return str(ADDRESSES.of(scope(peer, *headers)))


XFF = "X-Forwarded-For"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], "10.0.0.1"),
        ([(XFF, "192.0.2.7")], "192.0.2.7"),
        ([(XFF, "192.0.2.7:4711")], "192.0.2.7"),
        ([(XFF, "2001:db8::7")], "2001:db8::7"),
        ([(XFF, "[2001:db8::7]:80")], "2001:db8::7"),
        ([(XFF, "::ffff:192.0.2.7")], "192.0.2.7"),
        ([(XFF, "198.51.100.1, 192.0.2.7")], "192.0.2.7"),
        ([(XFF, "198.51.100.1, 192.0.2.7, 10.1.1.1 , 2001:db8:1::5")], "192.0.2.7"),
        ([(XFF, "198.51.100.1"), (XFF, "192.0.2.7"), (XFF, "10.1.1.1")], "192.0.2.7"),
        ([(XFF, "10.2.2.2, 10.1.1.1")], "10.2.2.2"),
        ([(XFF, "192.0.2.7, unknown")], "10.0.0.1"),
        ([(XFF, "192.0.2.7, nonsense, 10.1.1.1")], "10.1.1.1"),
        ([(XFF, "")], "10.0.0.1"),
        ([(XFF, ",")], "10.0.0.1"),
        ([("Forwarded", "for=192.0.2.7;proto=https;by=10.0.0.1")], "192.0.2.7"),
        ([("Forwarded", 'For="[2001:db8::7]:4711"; host=lake.example')], "2001:db8::7"),
        ([("Forwarded", 'for=198.51.100.1, for="192.0.2.7:80", for=10.1.1.1')], "192.0.2.7"),
        ([("Forwarded", "for=_hidden")], "10.0.0.1"),
        ([("Forwarded", "proto=https")], "10.0.0.1"),
        ([("Forwarded", "for=192.0.2.7;for=198.51.100.1")], "10.0.0.1"),
        # An open quote must not swallow what the proxy adds.
        ([("Forwarded", 'for="198.51.100.1, for=192.0.2.7')], "192.0.2.7"),
        # Two headers: one of them may be as the client wrote it.
        ([(XFF, "192.0.2.7"), ("Forwarded", "for=198.51.100.1")], "10.0.0.1"),
        ([(XFF, "198.51.100.1, 192.0.2.7"), ("Forwarded", "for=192.0.2.7")], "192.0.2.7"),
    ],
)
def test_what_a_trusted_proxy_says(headers: list[tuple[str, str]], expected: str) -> None:
    assert found("10.0.0.1", *headers) == expected


def test_nobody_else_is_believed() -> None:
    for header in ((XFF, "10.0.0.1"), (XFF, "192.0.2.7"), ("Forwarded", "for=192.0.2.7")):
        assert found("198.51.100.1", header) == "198.51.100.1"
        assert str(ClientAddresses().of(scope("10.0.0.1", header))) == "10.0.0.1"


def test_who_has_no_address() -> None:
    assert ADDRESSES.of(scope(None, (XFF, "192.0.2.7"))) is None
    assert bucket(None) == "local"


def test_a_v6_holder_has_all_of_a_64() -> None:
    assert bucket(ip_address("2001:db8::1")) == bucket(ip_address("2001:db8::ffff:1:2:3")) == "2001:db8::/64"
    assert bucket(ip_address("2001:db8:0:1::1")) != bucket(ip_address("2001:db8::1"))
    assert bucket(ip_address("192.0.2.7")) == "192.0.2.7"


def test_a_long_chain_is_followed_so_far() -> None:
    chain = ["192.0.2.7", *[f"10.0.1.{n}" for n in range(MOST_HOPS)]]
    assert found("10.0.0.1", (XFF, ", ".join(chain))) == "10.0.1.0"


def test_https_is_what_the_connection_or_a_trusted_proxy_says() -> None:
    proto = ("X-Forwarded-Proto", "https")
    assert ADDRESSES.is_https(scope("198.51.100.1", scheme="https"))
    assert ADDRESSES.is_https(scope("10.0.0.1", proto))
    assert not ADDRESSES.is_https(scope("10.0.0.1", ("X-Forwarded-Proto", "https, http")))
    assert not ADDRESSES.is_https(scope("10.0.0.1"))
    assert not ADDRESSES.is_https(scope("198.51.100.1", proto))
    assert not ClientAddresses().is_https(scope("10.0.0.1", proto))


def is_proxy(address: IPv4Address | IPv6Address) -> bool:
    return any(address.version == ip_network(proxy).version and address in ip_network(proxy) for proxy in PROXIES)


addresses = st.ip_addresses()
clients = addresses.filter(lambda address: not is_proxy(address) and not getattr(address, "ipv4_mapped", None))
proxies = st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="2001:db8:1::/48"))
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60)
spoofed = st.lists(st.one_of(printable, addresses.map(str), st.just('for="'), st.just("for=10.0.0.1")), max_size=4)


def written(header: str, address: IPv4Address | IPv6Address) -> str:
    if header == XFF:
        return str(address)
    return f'for="[{address}]"' if address.version == 6 else f"for={address}"


@given(clients, st.lists(proxies, min_size=1, max_size=4), spoofed, st.sampled_from([XFF, "Forwarded"]), st.booleans())
@example(client=ip_address("192.0.2.7"), hops=[ip_address("10.0.0.1")], lies=['for="'], header="Forwarded", apart=False)
def test_whatever_a_client_writes_it_counts_as_itself(
    client: IPv4Address | IPv6Address,
    hops: list[IPv4Address | IPv6Address],
    lies: list[str],
    header: str,
    apart: bool,
) -> None:
    # Each proxy appends who it heard it from; the last of them is who we hear it from.
    honest = [written(header, address) for address in [client, *hops[:-1]]]
    if apart:
        headers = [*((header, lie) for lie in lies), *((header, each) for each in honest)]
    else:
        headers = [(header, ", ".join([*lies, *honest]))]
    assert ADDRESSES.of(scope(str(hops[-1]), *headers)) == client


@given(clients, proxies, spoofed, st.sampled_from([(XFF, "Forwarded"), ("Forwarded", XFF)]))
def test_the_header_that_no_proxy_writes_does_not_help(
    client: IPv4Address | IPv6Address,
    proxy: IPv4Address | IPv6Address,
    lies: list[str],
    names: tuple[str, str],
) -> None:
    honest, other = names
    headers = [(honest, written(honest, client)), *((other, lie) for lie in lies)]
    assert ADDRESSES.of(scope(str(proxy), *headers)) in (client, proxy)


@given(addresses.filter(lambda address: not is_proxy(address)), spoofed)
def test_whoever_is_no_proxy_cannot_lie(peer: IPv4Address | IPv6Address, lies: list[str]) -> None:
    headers = [(name, lie) for lie in lies for name in (XFF, "Forwarded")]
    assert ADDRESSES.of(scope(str(peer), *headers)) == (getattr(peer, "ipv4_mapped", None) or peer)
