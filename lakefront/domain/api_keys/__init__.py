"""API keys of tenants (T2, T4, L14): shown once, kept as their SHA-256, rotated with an overlap, revoked at once.

``find`` and ``used`` are for signing in, ``issue`` for whoever makes a key within a transaction of their own (the
onboarding of a tenant), the rest for people and programs that hold the scope keys:manage.
"""

from lakefront.domain.api_keys.find import FoundKey, find, used
from lakefront.domain.api_keys.issue import MOST_LIVE, issue
from lakefront.domain.api_keys.keys import (
    CHANNEL,
    MARK,
    MAX_NAME,
    MAX_OVERLAP,
    MAX_TTL,
    ApiKey,
    ApiKeyState,
    NewKey,
    looks_like_one,
)
from lakefront.domain.api_keys.manage import Parts, acting_for, create, key_id, keys, regenerate, revoke, rotate

__all__ = [
    "CHANNEL",
    "MARK",
    "MAX_NAME",
    "MAX_OVERLAP",
    "MAX_TTL",
    "MOST_LIVE",
    "ApiKey",
    "ApiKeyState",
    "FoundKey",
    "NewKey",
    "Parts",
    "acting_for",
    "create",
    "find",
    "issue",
    "key_id",
    "keys",
    "looks_like_one",
    "regenerate",
    "revoke",
    "rotate",
    "used",
]
