"""Documents that the operator trusts: which there are is known to every server, their texts are read when asked for."""

import asyncio
import time
from typing import Final

from lakefront.db.database import Database
from lakefront.domain.documents.texts import Texts
from lakefront.settings import MIB

CHANNEL: Final = "lakefront_documents"
"""NOTIFY channel: a document came or went. A trigger on the table says so, whoever changes it."""

MOST: Final = 10_000
"""Documents that may be trusted: every server knows the hash of each."""

AT_HAND: Final = 16 * MIB
"""Bytes of texts that a server keeps."""

_BLIND: Final = 1.0
"""Seconds for which what was read holds while notices may be missed."""


class Trusted:
    """The trusted documents. ``changed`` and ``watch`` are told by the listener.

    Their hashes are all known, so that one that is not trusted costs no look-up, however many are made up; a text is
    the same for ever under its hash, so that only the hashes are read anew.
    """

    def __init__(self, database: Database | None) -> None:
        """``database`` None: there are none."""
        self._database = database
        self._known: frozenset[bytes] = frozenset()
        self._texts: Texts[bytes] = Texts(AT_HAND)
        self._notices = 0
        self._heard: int | None = 0 if database is None else None
        """How many notices there were when the hashes were read; ``None`` before."""
        self._read_at = 0.0
        self._listening = True
        self._reading: asyncio.Lock = asyncio.Lock()

    def changed(self, _notice: str = "") -> None:
        """What is known is void: read it again before the next answer."""
        self._notices += 1

    def watch(self, connected: bool) -> None:
        """While notices may be missed, what was read holds for a second."""
        self._listening = connected
        self._notices += 1

    async def has(self, sha256: bytes) -> bool:
        """Whether the document of that name is trusted now. Raises ``Unavailable`` when PostgreSQL must tell."""
        if self._void():
            async with self._reading:
                if self._void():
                    await self._read()
        return sha256 in self._known

    def at_once(self, sha256: bytes) -> bool | None:
        """As ``has``; ``None`` where PostgreSQL must tell."""
        return None if self._void() else sha256 in self._known

    def at_hand(self, sha256: bytes) -> str | None:
        """The text of a trusted document, if it was asked for lately."""
        return self._texts.get(sha256)

    async def text(self, sha256: bytes) -> str | None:
        """The text of a trusted document; raises as ``has``."""
        if not await self.has(sha256):
            return None
        text = self._texts.get(sha256)
        if text is None and self._database is not None:
            async with self._database.transaction("-") as transaction:
                rows = await transaction.fetch(
                    "SELECT document FROM lakefront.persisted_documents WHERE sha256 = $1", sha256
                )
            text = rows[0][0] if rows else None
            if text is not None:
                self._texts.put(sha256, text)
        return text

    async def _read(self) -> None:
        if self._database is None:
            return
        heard, started = self._notices, time.monotonic()
        async with self._database.transaction("-") as transaction:
            rows = await transaction.fetch("SELECT sha256 FROM lakefront.persisted_documents")
        self._known = frozenset(sha256 for (sha256,) in rows)
        self._heard, self._read_at = heard, started

    def _void(self) -> bool:
        if self._database is None:
            return False
        blind = not self._listening and time.monotonic() - self._read_at > _BLIND
        return self._heard != self._notices or blind
