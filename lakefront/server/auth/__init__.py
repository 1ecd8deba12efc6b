"""Sign-in: from what a client sends to an Actor, and from then on whether that still holds (C9, L14, P9, T4)."""

from lakefront.server.auth.authenticator import Authenticator
from lakefront.server.auth.keyring import KeyRing

__all__ = ["Authenticator", "KeyRing"]
