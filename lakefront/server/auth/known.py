"""Which of the secrets that clients bring are there at all: asked for all of them together."""

import asyncio
import time
from typing import Final

from lakefront.db.database import Database

PAUSE: Final = 0.1
"""Least seconds between two look-ups: a flood of made-up secrets costs ten statements a second."""

_THERE: Final = (
    "SELECT sha256 FROM tenants.tenant_api_keys WHERE sha256 = ANY($1::bytea[]) "
    "UNION ALL SELECT sha256 FROM lakefront.ingest_tokens WHERE sha256 = ANY($1::bytea[])"
)


class KnownSecrets:
    """Whether there is an API key or an ingest token, be it one that holds or not, of whatever tenant.

    Nothing is remembered. Whoever asks while a look-up runs, or too soon after one, shares the next one.
    """

    def __init__(self, provisioner: Database) -> None:
        """``provisioner`` is under the role that sees all tenants."""
        self._provisioner = provisioner
        self._asked: set[bytes] = set()
        self._next: asyncio.Future[set[bytes]] | None = None
        self._looked_at = -PAUSE

    async def have(self, digest: bytes) -> bool:
        """Whether there is one with that SHA-256; raises ``Unavailable`` when PostgreSQL is away."""
        if self._next is None:
            self._asked = set()
            self._next = asyncio.ensure_future(self._look_up(self._asked))
        self._asked.add(digest)
        return digest in await asyncio.shield(self._next)

    async def _look_up(self, asked: set[bytes]) -> set[bytes]:
        await asyncio.sleep(self._looked_at + PAUSE - time.monotonic())
        self._next = None  # whoever asks from here on is not among those asked for
        self._looked_at = time.monotonic()
        async with self._provisioner.transaction("-") as transaction:
            return {sha256 for (sha256,) in await transaction.fetch(_THERE, list(asked))}
