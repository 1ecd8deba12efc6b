"""What signing in with a login for BI tools takes: where to connect, and what PostgreSQL keeps of the password."""

import hmac
from base64 import b64encode
from hashlib import pbkdf2_hmac, sha256
from secrets import token_bytes
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

_ITERATIONS: Final = 4096  # PostgreSQL's own number; the passwords here are random, and need no more


def verifier(password: str) -> str:
    """What PostgreSQL keeps of ``password`` (ASCII) for SCRAM-SHA-256 (RFC 5803)."""
    salt = token_bytes(16)
    salted = pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored = sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def server_of(dsn: str) -> str:
    """Where ``dsn`` connects to, ``host:port`` or several of them, and nothing else that it says."""
    parts = urlsplit(dsn)
    asked = parse_qs(parts.query)
    if "host" in asked:
        return f"{asked['host'][0]}:{asked.get('port', ['5432'])[0]}"
    return unquote(parts.netloc.rpartition("@")[2]) or "localhost:5432"
