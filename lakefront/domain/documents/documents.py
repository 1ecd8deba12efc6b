"""What document a request gets: the text that it sends, or the one that it names, as its actor's mode allows."""

from typing import Final

from lakefront.actor import Actor
from lakefront.domain.documents.hashes import sha256_of
from lakefront.domain.documents.modes import Mode, Modes
from lakefront.domain.documents.registered import Registered
from lakefront.domain.documents.trusted import Trusted
from lakefront.errors import BadRequest, DocumentNotTrusted, PersistedQueryNotFound, PersistedQueryNotSupported

_REGISTER: Final = "Nothing is known under this hash. Send the request again with the document as 'query' beside it."
_SEND: Final = "Documents are not found by their hash here. Send the document's text as 'query'."
_TRUST: Final = "No trusted document has this hash. Have whoever runs the server add it: lakefront documents sync DIR."


class Documents:
    """One for each server, part of ``Services``. Without arguments: no document is known until it is registered."""

    def __init__(
        self, modes: Modes | None = None, trusted: Trusted | None = None, registered: Registered | None = None
    ) -> None:
        self._modes = modes or Modes()
        self._trusted = trusted or Trusted(None)
        self._registered = registered or Registered()

    def takes_any(self, actor: Actor) -> bool:
        """Whether ``actor`` may send whatever text it likes."""
        return self._modes.of(actor.roles) is not Mode.TRUSTED_ONLY

    def at_once(self, actor: Actor, sent: str, sha256: bytes | None) -> str | None:
        """As ``text``; ``None`` where somebody must be asked, something is to be kept, or refused."""
        mode = self._modes.of(actor.roles)
        if sha256 is None:
            return None if mode is Mode.TRUSTED_ONLY else sent
        trusted = None if mode is Mode.OFF or sent else self._trusted.at_once(sha256)
        if trusted is None:
            return None
        if trusted:
            return self._trusted.at_hand(sha256)
        return self._registered.at_hand(actor.tenant, sha256) if mode is Mode.APQ else None

    async def text(self, actor: Actor, sent: str, sha256: bytes | None) -> str:
        """The document of a request of ``actor`` that sent the text ``sent`` (``""``: none) and named ``sha256``.

        A text that comes with its hash is one to ``keep``. Raises ``PersistedQueryNotFound``,
        ``PersistedQueryNotSupported``, ``DocumentNotTrusted``, ``BadRequest`` (they do not fit together), and
        ``Unavailable`` when PostgreSQL must tell what is trusted and is away.
        """
        mode = self._modes.of(actor.roles)
        if sha256 is None:
            if mode is Mode.TRUSTED_ONLY and sent:
                await self._require_trust(sha256_of(sent))
            return sent
        if mode is Mode.OFF:
            raise PersistedQueryNotSupported(details=[{"field": "documentId", "message": _SEND}])
        if not sent:
            return await self._named(actor, sha256, mode)
        if sha256_of(sent) != sha256:
            raise BadRequest("provided sha does not match query: it must be the SHA-256 of the text, byte by byte.")
        if mode is Mode.TRUSTED_ONLY:
            await self._require_trust(sha256)
        return sent

    async def keep(self, actor: Actor, sent: str, sha256: bytes | None) -> None:
        """Register the text of a request that came with its hash, for the actor's tenant, where the mode has that.

        To be called once the text is known to be valid: one that is refused may hold a secret in its place.
        """
        if sent and sha256 is not None and self._modes.of(actor.roles) is Mode.APQ:
            await self._registered.keep(actor.tenant, sha256, sent)

    async def _named(self, actor: Actor, sha256: bytes, mode: Mode) -> str:
        text = await self._trusted.text(sha256)
        if text is None and mode is Mode.APQ:
            text = await self._registered.find(actor.tenant, sha256)
        if text is None:
            told = _REGISTER if mode is Mode.APQ else _TRUST
            raise PersistedQueryNotFound(details=[{"field": "documentId", "message": told}])
        return text

    async def _require_trust(self, sha256: bytes) -> None:
        if not await self._trusted.has(sha256):
            raise DocumentNotTrusted(details=[{"field": "query", "message": f"The document's SHA-256: {sha256.hex()}"}])
