"""Which tenants there are, and which of them are active: known to every server, read anew when one changes."""

import asyncio
import time
from typing import Final

from lakefront.db.database import Database
from lakefront.errors import Forbidden, Unauthenticated

CHANNEL: Final = "lakefront_tenants"
"""NOTIFY channel: a tenant came, was suspended or resumed."""

_REFRESH_FLOOR: Final = 0.5
"""Least seconds between two readings that unknown names cause: a flood of them costs two statements a second. Whoever
has such a name waits for the next one: the tenant may have come a moment ago."""

_BLIND: Final = 1.0
"""Seconds for which what was read holds while notices may be missed."""


class Directory:
    """The tenants. ``load`` it before use; ``changed`` and ``watch`` are told by the listener."""

    def __init__(self, provisioner: Database) -> None:
        """``provisioner`` is under the role that sees all tenants."""
        self._provisioner = provisioner
        self._status: dict[str, str] = {}
        self._reasons: dict[str, str] = {}
        """Why each suspended tenant is: for those who proved that they are its people."""
        self._listening = False
        self._notices = 0
        self._heard: int | None = None
        """How many notices there were when the tenants were read; ``None`` before."""
        self._read_at = -_BLIND
        self._reading: asyncio.Lock = asyncio.Lock()

    async def load(self) -> None:
        """Read all of them; raises ``Unavailable`` when PostgreSQL is away."""
        heard, started = self._notices, time.monotonic()
        async with self._provisioner.transaction("-") as transaction:
            rows = await transaction.fetch("SELECT tenant_id, status, suspension_reason FROM tenants.tenant_profiles")
        self._status = {tenant: status for tenant, status, _ in rows}
        self._reasons = {tenant: reason for tenant, _, reason in rows if reason}
        self._heard, self._read_at = heard, started

    def changed(self, _notice: str = "") -> None:
        """What is known is void: read it again before the next answer."""
        self._notices += 1

    def watch(self, connected: bool) -> None:
        """While notices may be missed, what was read holds for a second."""
        self._listening = connected
        self._notices += 1

    def known(self) -> list[str]:
        """All tenants that were there at the last reading, suspended ones as well, in the order of their ids."""
        return sorted(self._status)

    async def require_active(self, tenant: str) -> None:
        """Pass if ``tenant`` may be served; to be asked for who proved to be of it, as they are told why it is not.

        Raises ``Unauthenticated`` if there is none, ``Forbidden`` if it is suspended, with the reason.
        """
        asked = time.monotonic()
        while self._void(tenant, asked):
            if (pause := self._pause()) > 0.0:
                await asyncio.sleep(pause)
                continue
            async with self._reading:
                if self._void(tenant, asked) and self._pause() <= 0.0:
                    await self.load()
        status = self._status.get(tenant)
        if status is None:
            raise Unauthenticated("There is no such tenant here.")
        if status != "active":
            reason = self._reasons.get(tenant, "no reason was given").rstrip(".")
            raise Forbidden(f"This tenant is suspended: {reason}. Ask whoever runs this server.")

    def serves(self, tenant: str) -> bool:
        """Whether ``tenant`` is known to be active, nobody being asked."""
        return not self._outdated() and self._status.get(tenant) == "active"

    def _void(self, tenant: str, asked: float) -> bool:
        """Whether what was read cannot tell who asked at ``asked`` about ``tenant``."""
        return self._outdated() or (tenant not in self._status and self._read_at < asked)

    def _outdated(self) -> bool:
        blind = not self._listening and time.monotonic() - self._read_at > _BLIND
        return self._heard != self._notices or blind

    def _pause(self) -> float:
        """Seconds until it may be read again: at once where it is outdated, and not just a name unknown."""
        return 0.0 if self._outdated() else self._read_at + _REFRESH_FLOOR - time.monotonic()
