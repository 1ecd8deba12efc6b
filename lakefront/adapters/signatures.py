"""Signatures of what is sent to other people's servers (C8), as Standard Webhooks has them.

HMAC-SHA256 over id, timestamp and body: https://www.standardwebhooks.com. ``docs/webhooks.md`` tells the other side.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

PREFIX: Final = "whsec_"


def new_secret() -> str:
    """A secret of 256 bits that nobody knows yet: ``whsec_…``."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key that a secret stands for: what ``whsec_`` has behind it in base64; of any other text its UTF-8.

    Raises ``ValueError``, without a word of it, where that is no base64.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("the secret is no base64 behind whsec_")
    return key


def signed(id_: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers that go with ``body``: one signature for each key, so that secrets can be changed one side at a time.

    ``timestamp`` in seconds since 1970; ``id_`` is ASCII without spaces.
    """
    content = f"{id_}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, content, sha256)).decode() for key in keys)
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }
