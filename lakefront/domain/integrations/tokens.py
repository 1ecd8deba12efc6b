"""Tokens of outside systems, encrypted as credentials are: under the same keys, for one integration alone (C6)."""

from base64 import b64decode, b64encode

from lakefront.adapters.endpoint import Endpoint
from lakefront.domain.integrations.keys import CannotDecrypt, CredentialKeys, Encrypted, Place


class TokenCipher:
    """What seals tokens for Redis; as ``lakefront.adapters.calls.tokens.Cipher`` has it."""

    def __init__(self, keys: CredentialKeys) -> None:
        self._keys = keys

    def seal(self, endpoint: Endpoint, text: str) -> str:
        """``text``, which can be read for this endpoint as it is now alone."""
        sealed = self._keys.encrypt(_place(endpoint), {"token": text})
        return f"{sealed.key_id}.{b64encode(sealed.data).decode()}"

    def unseal(self, endpoint: Endpoint, sealed: str) -> str | None:
        """What was sealed; None where it was not for this endpoint, or not under a key that is here."""
        key_id, _, data = sealed.partition(".")
        try:
            return self._keys.decrypt(_place(endpoint), Encrypted(key_id, b64decode(data, validate=True))).get("token")
        except (CannotDecrypt, ValueError):
            return None


def _place(endpoint: Endpoint) -> Place:
    # No place of credentials begins like this: neither can be put in the other's stead.
    return Place(*endpoint.key, f"token {endpoint.version} {endpoint.base_url}")
