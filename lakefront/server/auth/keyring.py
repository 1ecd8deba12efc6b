"""The public keys whose tokens hold, learnt from the database: every server verifies every server's tokens (C9)."""

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

import orjson
from joserfc.jwk import RSAKey

from lakefront.db.database import Database
from lakefront.errors import Unavailable
from lakefront.server.keys import SigningKey

_REFRESH_FLOOR: Final = 0.5
"""Least seconds between two look-ups of keys: a flood of unknown ones costs two statements a second."""


class KeyRing:
    """The public keys whose tokens hold: this server's own and those that other servers of the database registered."""

    def __init__(self, own: SigningKey, database: Database) -> None:
        self._own = own
        self._database = database
        self._keys = {own.kid: RSAKey.import_key(own.public_jwk)}
        self._jwks = {own.kid: own.public_jwk}
        self._refreshed_at = -_REFRESH_FLOOR
        self._next_refresh: asyncio.Future[None] | None = None

    async def register(self) -> None:
        """Make this server's public key known to all servers of the database, and learn theirs."""
        async with self._database.transaction("-") as transaction:
            await transaction.execute(
                "INSERT INTO lakefront.signing_keys (kid, public_jwk, created_at) VALUES ($1, $2, now()) "
                "ON CONFLICT DO NOTHING",
                *(self._own.kid, orjson.dumps(self._own.public_jwk)),
            )
        await self._refresh()

    async def find(self, kid: str) -> RSAKey | None:
        """The key with that id; an unknown one waits for the next look-up, which all who ask by then share.

        So a key that another server registered holds from its first token on.
        """
        if kid not in self._keys:
            await self._refresh()
        return self._keys.get(kid)

    async def jwks(self) -> dict[str, Any]:
        """All public keys, as ``/.well-known/jwks.json`` shows them."""
        if time.monotonic() - self._refreshed_at >= _REFRESH_FLOOR:
            with suppress(Unavailable):  # the keys known so far verify all the same
                await self._refresh()
        return {"keys": list(self._jwks.values())}

    async def _refresh(self) -> None:
        if self._next_refresh is None:
            self._next_refresh = asyncio.ensure_future(self._look_up())
        await asyncio.shield(self._next_refresh)

    async def _look_up(self) -> None:
        await asyncio.sleep(self._refreshed_at + _REFRESH_FLOOR - time.monotonic())
        # Who asks from here on may ask for a key that this look-up does not see: it waits for the next.
        self._next_refresh = None
        self._refreshed_at = time.monotonic()
        async with self._database.transaction("-") as transaction:
            rows = await transaction.fetch("SELECT kid, public_jwk FROM lakefront.signing_keys")
        self._keys |= {kid: RSAKey.import_key(jwk) for kid, jwk in rows if kid not in self._keys}
        self._jwks |= dict(rows)
