"""Where outside systems are reached: read once, decrypted once, and anew whenever a row changes on any server."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from lakefront.adapters.endpoint import Endpoint, Key
from lakefront.db.database import Database
from lakefront.domain.integrations.integration import Row
from lakefront.domain.integrations.keys import CannotDecrypt, CredentialKeys
from lakefront.domain.integrations.rows import endpoint, read
from lakefront.errors import NotConfigured

CHANNEL: Final = "lakefront_integrations"
"""NOTIFY channel: an integration changed. A trigger on the table says so, whoever changes it."""

MOST_TENANTS: Final = 1000
"""Tenants whose endpoints a server remembers; the one not asked for longest makes room."""

_BLIND: Final = 1.0
"""Seconds for which what was read holds while notices may be missed."""

_log = logging.getLogger(__name__)


class Endpoints:
    """The endpoints of all tenants. ``changed`` and ``watch`` are told by the listener.

    A row that did not change is the same ``Endpoint`` as before, however often it is read. Everything is forgotten
    when the listener is lost.
    """

    def __init__(self, database: Database | None = None, keys: CredentialKeys | None = None) -> None:
        """``database`` None: there are no integrations."""
        self._database = database
        self.keys = keys or CredentialKeys.ephemeral()
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()
        self._notices = 0
        self._listening = True

    def changed(self, _notice: str = "") -> None:
        """What is known is void: read it again before the next answer."""
        self._notices += 1

    def watch(self, connected: bool) -> None:
        """While notices may be missed, what was read holds for a second."""
        self._listening = connected
        self._notices += 1
        if not connected:
            self._tenants.clear()

    async def all(self, tenant: str) -> Mapping[Key, Endpoint]:
        """What the tenant reaches now: no disabled rows, and none whose credentials cannot be read.

        Raises ``Unavailable`` when it must be read and PostgreSQL is away.
        """
        return (await self._known(tenant)).found

    async def find(self, tenant: str, provider: str, city: str = "") -> Endpoint | None:
        """One of ``all``, ``None`` if it is not there."""
        return (await self.all(tenant)).get(Key(tenant, provider, city))

    async def require(self, tenant: str, provider: str, city: str = "") -> Endpoint:
        """One of ``all``; raises ``NotConfigured``, which says what an operator has to do."""
        known = await self._known(tenant)
        key = Key(tenant, provider, city)
        if (found := known.found.get(key)) is not None:
            return found
        where = f"{provider} of {city}" if city else provider
        if key in known.unreadable:
            raise NotConfigured(
                f"The credentials of {where} cannot be read with the keys that this server has. An operator has to "
                "give it the key that they were encrypted under, or give all credentials anew: upsertIntegration."
            )
        raise NotConfigured(f"{where} is not set up here, or disabled. An operator has to: upsertIntegration.")

    async def _known(self, tenant: str) -> "_Tenant":
        known = self._tenants.get(tenant)
        if known is None:
            known = self._tenants[tenant] = _Tenant()
            if len(self._tenants) > MOST_TENANTS:
                self._tenants.popitem(last=False)
        self._tenants.move_to_end(tenant)
        if self._void(known):
            async with known.reading:
                if self._void(known):
                    await self._read(tenant, known)
        return known

    async def _read(self, tenant: str, known: "_Tenant") -> None:
        heard, started = self._notices, time.monotonic()
        if self._database is not None:
            async with self._database.transaction(tenant) as transaction:
                rows = await read(transaction, tenant)
            known.take(tenant, rows, self.keys)
        known.heard, known.read_at = heard, started

    def _void(self, known: "_Tenant") -> bool:
        blind = not self._listening and time.monotonic() - known.read_at > _BLIND
        return known.heard != self._notices or blind


class _Tenant:
    """What is known of one tenant."""

    def __init__(self) -> None:
        self.reading = asyncio.Lock()
        self.heard: int | None = None
        """How many notices there were when it was read; ``None`` before."""
        self.read_at = 0.0
        self.found: dict[Key, Endpoint] = {}
        self.unreadable: frozenset[Key] = frozenset()
        self._rows: dict[Key, Row] = {}

    def take(self, tenant: str, rows: Iterable[Row], keys: CredentialKeys) -> None:
        """Take what was read, decrypting what is new of it."""
        found: dict[Key, Endpoint] = {}
        read: dict[Key, Row] = {}
        unreadable = set()
        for row in rows:
            if not row.enabled:
                continue
            key = Key(tenant, row.provider, row.city)
            read[key] = row
            try:
                same = key in self.found and self._rows.get(key) == row
                found[key] = self.found[key] if same else endpoint(keys, tenant, row)
            except CannotDecrypt as wrong:
                unreadable.add(key)
                _log.error(
                    "credentials cannot be read tenant=%s integration.provider=%s city=%s: %s",
                    *(tenant, row.provider, row.city, wrong),
                    extra={"integration.provider": row.provider},
                )
        self.found, self._rows, self.unreadable = found, read, frozenset(unreadable)
