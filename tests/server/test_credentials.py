"""What clients sign in with: one token or one key, once, and a user id that is just a note (T4)."""

import pytest

from lakefront.errors import BadRequest, LakefrontError, Unauthenticated
from lakefront.server.credentials import Credentials

Headers = list[tuple[bytes, bytes]]


def test_headers() -> None:
    assert Credentials.of_headers([]) == Credentials()
    assert Credentials.of_headers([(b"authorization", b"Bearer x"), (b"host", b"a")]) == Credentials("Bearer x")
    found = Credentials.of_headers([(b"x-api-key", b"k"), (b"x-user-id", "Zoë".encode())])
    assert found == Credentials(None, "k", "Zoë")


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([(b"authorization", b"a"), (b"x-api-key", b"b")], Unauthenticated),
        ([(b"authorization", b"a"), (b"authorization", b"a")], Unauthenticated),
        ([(b"x-api-key", b"a"), (b"x-api-key", b"b")], Unauthenticated),
        ([(b"x-user-id", b"a"), (b"x-user-id", b"b")], BadRequest),
        ([(b"x-user-id", b"")], BadRequest),
        ([(b"x-user-id", b"a\tb")], BadRequest),
        ([(b"x-user-id", b"\xff")], BadRequest),
        ([(b"x-user-id", b"x" * 201)], BadRequest),
    ],
)
def test_headers_that_are_refused(headers: Headers, error: type[LakefrontError]) -> None:
    with pytest.raises(error):
        Credentials.of_headers(headers)


def test_a_payload_goes_before_its_handshake() -> None:
    handshake = Credentials("Bearer proxy", None, "u")
    assert Credentials.of_init({}, handshake) == handshake
    assert Credentials.of_init({"Authorization": None, "other": 5}, handshake) == handshake
    assert Credentials.of_init({"authorization": "Bearer x"}, handshake) == Credentials("Bearer x", None, "u")
    assert Credentials.of_init({"X-API-Key": "k", "X-User-ID": "v"}, handshake) == Credentials(None, "k", "v")


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"Authorization": "a", "X-API-Key": "b"}, Unauthenticated),
        ({"X-API-Key": "a", "x-api-key": "b"}, BadRequest),
        ({"X-API-Key": ["a"]}, BadRequest),
        ({"X-User-ID": "\n"}, BadRequest),
    ],
)
def test_payloads_that_are_refused(payload: dict[str, object], error: type[LakefrontError]) -> None:
    with pytest.raises(error):
        Credentials.of_init(payload, Credentials())


def test_no_secret_is_shown() -> None:
    assert "secret" not in f"{Credentials('Bearer secret', None, 'secret')!r}"
