"""Persisted documents (L16): asked for by the SHA-256 of their text, trusted by an operator or registered by clients.

``documents`` decides what a request gets, by the mode of its actor; ``trusted`` and ``registered`` find documents,
``folder`` and ``sync`` bring an operator's files into PostgreSQL. ADR 0023 has the reasons.
"""

from lakefront.domain.documents.documents import Documents
from lakefront.domain.documents.hashes import asked_for, sha256_of
from lakefront.domain.documents.modes import Mode, Modes
from lakefront.domain.documents.registered import Registered
from lakefront.domain.documents.trusted import CHANNEL, Trusted

__all__ = ["CHANNEL", "Documents", "Mode", "Modes", "Registered", "Trusted", "asked_for", "sha256_of"]
