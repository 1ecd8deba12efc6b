"""Connections: who is trusted, which addresses are reached, and how many origins are remembered."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lakefront.adapters.calls import Calls
from lakefront.adapters.calls.connections import MOST_POOLS, Connections, Origin
from lakefront.errors import UpstreamError
from tests.adapters.outside import Outside, told
from tests.adapters.probe import QUICK, probe

OK = told({"value": 7})


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost that nobody signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "localhost.pem"
    forms = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*forms))
    return path


@pytest.fixture
async def outside(certificate: Path) -> AsyncIterator[Outside]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with Outside(lambda _: OK, tls=context) as server:
        yield server


async def test_whose_certificate_nobody_vouches_for_gets_nothing(outside: Outside) -> None:
    calls = Calls(policy=QUICK, loopback=True)
    for call in (probe(outside.url, calls).ask, probe(outside.url, calls).file):
        with pytest.raises(UpstreamError, match="cannot be reached"):
            await call()
    assert outside.got == []
    await calls.close()


async def test_what_was_not_sent_is_never_in_doubt() -> None:
    async with Outside(lambda _: OK) as silent:  # takes the connection, and waits for what is no TLS
        calls = Calls(policy=QUICK, loopback=True)
        with pytest.raises(UpstreamError, match="cannot be reached") as raised:
            await probe(silent.url.replace("http:", "https:"), calls).file()
        assert type(raised.value) is UpstreamError
        await calls.close()


async def test_an_operators_own_authority_is_trusted(
    outside: Outside, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    calls = Calls(policy=QUICK, loopback=True)
    adapter = probe(outside.url, calls)
    assert [await adapter.ask(), await adapter.ask(), await adapter.file()] == [7, 7, 7]
    assert [got.connection for got in outside.got] == [1, 1, 2]
    await calls.close()


async def test_what_changes_nothing_outlives_the_server_that_closes_its_connections() -> None:
    async with Outside(lambda _: OK) as outside:
        calls = Calls(policy=QUICK, loopback=True)
        adapter = probe(outside.url, calls)
        for _ in range(20):
            assert await adapter.ask() == 7
            outside.hang_up()
            await asyncio.sleep(0)
        await calls.close()


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.20.1.1", True),
        ("10.21.1.1", False),
        ("::ffff:10.21.1.1", False),
        ("::ffff:10.20.1.1", True),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("0.0.0.0", False),
        ("64:ff9b::5db8:d822", True),  # NAT64 of 93.184.216.34, and of what follows
        ("64:ff9b::a9fe:a9fe", False),  # 169.254.169.254
        ("64:ff9b::a14:101", True),  # 10.20.1.1
        ("64:ff9b:1::a15:101", False),
        ("2002:a15:101::1", False),  # 6to4 of 10.21.1.1
        ("2002:5db8:d822::1", True),
        ("fec0::1", False),
        ("::7f00:1", False),
        ("::ffff:0:10.21.1.1", False),
    ],
)
def test_which_addresses_are_reached(peer: str, allowed: bool) -> None:
    connections = Connections(QUICK, networks=["10.20.0.0/16"])
    assert connections._backend._allowed((peer, 443)) is allowed


async def test_who_leaves_during_a_handshake_leaves_no_connection_behind() -> None:
    greeted, ended = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        greeted.set()
        await reader.read()  # to its end
        ended.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        calls = Calls(policy=replace(QUICK, connect_timeout=9.0, try_timeout=9.0), loopback=True)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        call = asyncio.create_task(probe(url, calls).ask())
        await greeted.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(2):
            await ended.wait()
        await calls.close()


async def test_origins_are_not_remembered_without_bound() -> None:
    connections = Connections(QUICK, networks=[])
    for number in range(MOST_POOLS + 40):
        with pytest.raises(httpcore.ConnectError):
            async with await connections.stream(
                Origin("http", "127.0.0.1", number + 1, fresh=False), b"/", "GET", [], None, 0.5
            ):
                pass
    assert len(connections._pools) <= MOST_POOLS
    await connections.close()


async def test_an_ipv6_address_is_named_as_it_should_be() -> None:
    try:
        async with Outside(lambda _: OK, host="::1") as outside:
            calls = Calls(policy=QUICK, loopback=True)
            assert await probe(outside.url, calls).ask() == 7
            assert outside.got[0].headers["host"] == outside.url.removeprefix("http://")
            await calls.close()
    except OSError:
        pytest.skip("this machine has no IPv6")
