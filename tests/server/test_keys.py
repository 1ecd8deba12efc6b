"""The server's signing key and the tokens that are made with it."""

from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from lakefront.errors import ValidationError
from lakefront.server.keys import ALGORITHM, SigningKey, mint
from lakefront.settings import Settings


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = SigningKey.load_or_create(tmp_path)
    assert SigningKey.load_or_create(tmp_path).kid == first.kid
    path = tmp_path / "keys" / "signing.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "d" not in first.public_jwk


def test_a_token_tells_roles_and_leaves_their_meaning_to_the_policy(tmp_path: Path) -> None:
    key = SigningKey.load_or_create(tmp_path)
    token = mint(key, Settings(), "ann", "reader", "acme_corp", 60)
    claims = jwt.decode(token, RSAKey.import_key(key.public_jwk), algorithms=[ALGORITHM]).claims
    assert (claims["sub"], claims["tenant"], claims["roles"]) == ("ann", "acme_corp", ["reader"])
    assert claims.keys() == {"iss", "aud", "sub", "tenant", "roles", "iat", "exp", "jti"}
    with pytest.raises(ValidationError, match="no role 'king'"):
        mint(key, Settings(), "ann", "king", "city", 60)
