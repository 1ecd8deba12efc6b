"""By what a document is named: the SHA-256 of its text in UTF-8, as the draft and as Apollo's clients write it.

https://github.com/graphql/graphql-over-http/blob/main/spec/Appendix%20A%20--%20Persisted%20Documents.md and
https://www.apollographql.com/docs/apollo-server/performance/apq
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from lakefront.errors import BadRequest

PREFIX: Final = "sha256:"
"""What the draft puts before the hash; a hash alone is taken, too, as code generators write it."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")


def sha256_of(text: str) -> bytes:
    """The name of the document ``text``, as 32 bytes."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def asked_for(document_id: Any, extensions: Mapping[str, Any]) -> bytes | None:
    """The SHA-256 that a request names its document by, be it in ``documentId`` or in Apollo's ``persistedQuery``.

    ``None`` if it names none. Raises ``BadRequest`` if it is not one, or two that differ.
    """
    ours = _by_id(document_id)
    theirs = _by_extension(extensions.get("persistedQuery"))
    if ours is not None and theirs is not None and ours != theirs:
        raise BadRequest("documentId and extensions.persistedQuery name different documents. Send one of them.")
    return ours if ours is not None else theirs


def read_hash(text: str) -> bytes | None:
    """The 32 bytes that ``text`` writes as 64 lower-case digits, with or without ``PREFIX``; ``None`` otherwise."""
    digits = text.removeprefix(PREFIX)
    return bytes.fromhex(digits) if _HASH.fullmatch(digits) else None


def _by_id(document_id: Any) -> bytes | None:
    if document_id is None:
        return None
    found = read_hash(document_id) if isinstance(document_id, str) else None
    if found is None:
        raise BadRequest(f"documentId must be '{PREFIX}' and the document's SHA-256 in 64 lower-case hex digits.")
    return found


def _by_extension(asked: Any) -> bytes | None:
    if asked is None:
        return None
    if not isinstance(asked, dict):
        raise BadRequest("extensions.persistedQuery must be an object with version and sha256Hash.")
    if asked.get("version") != 1:
        raise BadRequest("Unsupported persisted query version. Send extensions.persistedQuery with version 1.")
    text = asked.get("sha256Hash")
    found = read_hash(text.lower()) if isinstance(text, str) else None
    if found is None:
        raise BadRequest("extensions.persistedQuery.sha256Hash must be the document's SHA-256 in 64 hex digits.")
    return found
