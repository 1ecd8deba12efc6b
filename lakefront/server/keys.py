"""The server's signing key, and tokens made with it: RS256 JWTs (C9, L14)."""

import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import RSAKey

from lakefront.domain.rights import DEFAULT
from lakefront.errors import ValidationError
from lakefront.settings import Settings

KEY_BITS = 2048
ALGORITHM = "RS256"


class SigningKey:
    """An RSA key with its id (the RFC 7638 thumbprint)."""

    def __init__(self, key: RSAKey) -> None:
        self._key = key
        self.kid = key.thumbprint()

    @classmethod
    def load_or_create(cls, data: Path) -> "SigningKey":
        """The key in ``<data>/keys/signing.pem``; made on first use, readable by its owner alone."""
        path = data / "keys" / "signing.pem"
        if not path.exists():
            _create(path)
        return cls(RSAKey.import_key(path.read_bytes()))

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The public half as a JWK, for ``/.well-known/jwks.json``."""
        return {**self._key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": ALGORITHM}

    def sign(self, claims: dict[str, Any]) -> str:
        """``claims`` as a compact JWT signed with this key."""
        return jwt.encode({"alg": ALGORITHM, "kid": self.kid, "typ": "JWT"}, claims, self._key, algorithms=[ALGORITHM])


def mint(key: SigningKey, settings: Settings, subject: str, role: str, tenant: str, ttl: int) -> str:
    """A token for ``subject`` in ``role``, valid for ``ttl`` seconds where there is such a tenant and it is active.

    What the role may do is the policy's to say whenever the token is used. Raises ``ValidationError`` for an unknown
    role.
    """
    if role not in DEFAULT.roles:
        raise ValidationError(f"There is no role '{role}'. Use one of {', '.join(sorted(DEFAULT.roles))}.")
    now = int(time.time())
    claims = {
        "iss": settings.token_issuer,
        "aud": settings.token_audience,
        "sub": subject,
        "tenant": tenant,
        "roles": [role],
        "iat": now,
        "exp": now + ttl,
        "jti": str(uuid4()),
    }
    return key.sign(claims)


def _create(path: Path) -> None:
    """Write a new key so that it is there whole or not at all, and that the first of two racing servers wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = RSAKey.generate_key(KEY_BITS).as_pem(private=True)
    draft = path.with_name(f".{uuid4()}.pem")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
