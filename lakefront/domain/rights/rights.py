"""What roles may do now: the policy as the database has it, read anew when a rule changes."""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from lakefront.db.database import Database
from lakefront.domain.rights.policy import DEFAULT, Granted, Policy, Rows, Rule

CHANNEL: Final = "lakefront_policies"
"""NOTIFY channel: a rule changed. A trigger on the table says so, whoever changes it."""

_BLIND: Final = 1.0
"""Seconds for which what was read holds while notices may be missed."""


class Rights:
    """The policy. ``load`` it before use; ``changed`` and ``watch`` are told by the listener."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._policy = DEFAULT
        self._notices = 0
        self._heard: int | None = None
        """How many notices there were when the policy was read; ``None`` before."""
        self._read_at = 0.0
        self._listening = True
        self._reading: asyncio.Lock = asyncio.Lock()

    async def load(self) -> None:
        """Read the rules; raises ``Unavailable`` when PostgreSQL is away."""
        heard, started = self._notices, time.monotonic()
        async with self._database.transaction("-") as transaction:
            rows = await transaction.fetch("SELECT role, domain, object, action, rows FROM lakefront.policy_rules")
        added = tuple(sorted(Rule(role, domain, on, action, Rows(which)) for role, domain, on, action, which in rows))
        if added != self._policy.added:
            self._policy = Policy(added)
        self._heard, self._read_at = heard, started

    def changed(self, _notice: str = "") -> None:
        """What is known is void: read it again before the next answer."""
        self._notices += 1

    def watch(self, connected: bool) -> None:
        """While notices may be missed, what was read holds for a second."""
        self._listening = connected
        self._notices += 1

    async def of(self, roles: Iterable[str], tenant: str) -> Granted:
        """What whoever has ``roles`` may do in ``tenant``; unknown roles grant nothing. Raises ``Unavailable``."""
        return (await self.policy()).granted(roles, tenant)

    def known(self, roles: Iterable[str], tenant: str) -> Granted | None:
        """As ``of`` where the policy need not be read; ``None`` otherwise."""
        return None if self._void() else self._policy.granted(roles, tenant)

    async def policy(self) -> Policy:
        """The policy as it is now. Raises ``Unavailable`` when it must be read and PostgreSQL is away."""
        if self._void():
            async with self._reading:
                if self._void():
                    await self.load()
        return self._policy

    def _void(self) -> bool:
        blind = not self._listening and time.monotonic() - self._read_at > _BLIND
        return self._heard != self._notices or blind
