"""The worker that looks at all tenants' rules: one server at a time, and harmless if two do."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from lakefront.db.database import Transaction
from lakefront.domain.alerts import alert as alerts
from lakefront.domain.alerts import readings, stored_rules
from lakefront.domain.alerts.alert import CARRIERS, Alert
from lakefront.domain.alerts.publish import publish
from lakefront.domain.alerts.readings import Reading, Sightings
from lakefront.domain.alerts.rules import Rule
from lakefront.domain.alerts.turns import Steady, Turned, Waiting, turn
from lakefront.domain.services import Services
from lakefront.errors import Unavailable

LOCK: Final = "alerts"
"""Which lock the server has that evaluates."""

LEAST_FRESH: Final = 60.0
"""Seconds for which what another server saw counts, at least, if it does not say so again: it may just be slow."""

_TENANTS: Final = """
SELECT coalesce(json_agg(tenant_id ORDER BY tenant_id), '[]') FROM (
  SELECT tenant_id FROM lakefront.integrations UNION SELECT tenant_id FROM lakefront.alert_rules
  UNION SELECT tenant_id FROM lakefront.alerts WHERE state <> 'RESOLVED') t
"""
# Where nothing outside is set up there is nothing to be told.

_LOCKED: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)), now()"
_TURNS: Final = "SELECT rule_id, provider, city, since FROM lakefront.alert_turns WHERE tenant_id = $1"
_WAIT: Final = """
INSERT INTO lakefront.alert_turns (tenant_id, rule_id, provider, city, since) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, rule_id, provider, city) DO UPDATE SET since = EXCLUDED.since
"""
_FORGET: Final = """
DELETE FROM lakefront.alert_turns WHERE tenant_id = $1 AND rule_id = $2 AND provider = $3 AND city = $4
"""

_log = logging.getLogger(__name__)


class Locks(Protocol):
    """What keeps servers apart, by PostgreSQL's advisory locks."""

    def hold(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Hold the lock within the block; False where another server has it."""
        ...


class About(NamedTuple):
    """What an alert is about: one of it is open at a time."""

    rule_id: str
    provider: str
    city: str


class _Seen(NamedTuple):
    """What is known of one thing that an alert is, or could be, about; ``reading`` None: there is nothing any more."""

    rule: Rule | None
    reading: Reading | None
    open: Alert | None

    @property
    def bad(self) -> bool:
        return self.rule is not None and self.reading is not None and self.rule.beyond(self.reading.value)


class Evaluator:
    """Looks every ``interval`` seconds. All servers run one: each tells what it alone sees, one looks at the rules."""

    def __init__(
        self, services: Services, locks: Locks, *, interval: float, sightings: Sightings | None = None
    ) -> None:
        """``interval`` in seconds; an alert is over when it was well for two of them."""
        self._services = services
        self._locks = locks
        self._interval = interval
        self._sightings = sightings or Sightings(services)
        self._recovery = timedelta(seconds=2 * interval)
        self._fresh = timedelta(seconds=max(LEAST_FRESH, 4 * interval))

    async def run(self) -> None:
        """Look, for ever. What fails is tried again the next time."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.turn()
            except Unavailable:
                _log.info("alerts were not looked at: PostgreSQL is away")
            except Exception:  # noqa: BLE001 - the next look is due in a moment
                _log.exception("the look at alerts failed")

    async def close(self) -> None:
        """Take back what this server told of itself."""
        await self._sightings.close()

    async def turn(self) -> None:
        """One look. Raises ``Unavailable``."""
        await self._sightings.tell()
        async with self._locks.hold(LOCK) as mine:
            if not mine:
                return
            for tenant in msgspec.json.decode(await self._services.provisioner.text(_TENANTS)):
                await self._tenant(tenant)

    async def _tenant(self, tenant: str) -> None:
        """One tenant; what fails there keeps no other from its turn. Raises ``Unavailable`` if it is PostgreSQL."""
        try:
            await self.evaluate(tenant)
            await publish(self._services, tenant)
        except Unavailable:
            await self._services.database.ping()
            _log.warning("the look at the alerts of tenant=%s had no answer", tenant)
        except Exception:  # noqa: BLE001 - as the docstring says
            _log.exception("the look at the alerts of tenant=%s failed", tenant)

    async def evaluate(self, tenant: str) -> None:
        """Fire and resolve what is due, in one transaction with the jobs that tell of it. Raises ``Unavailable``."""
        carriers = await carriers_of(self._services, tenant)
        async with self._services.database.transaction(tenant) as transaction:
            [(mine, now)] = await transaction.fetch(_LOCKED, f"alerts:{tenant}")
            if not mine:
                return
            rules = {rule.rule_id: rule for rule in await stored_rules.read(transaction, tenant) if rule.enabled}
            read = await readings.read(transaction, tenant, fresh=self._fresh)
            found = _found(rules, read, await alerts.unresolved(transaction, tenant))
            since = {About(*about): begun for *about, begun in await transaction.fetch(_TURNS, tenant)}
            for about in since.keys() - found.keys():
                await transaction.execute(_FORGET, tenant, *about)
            for about, seen in found.items():
                await self._one(transaction, tenant, about, seen, since.get(about), now, carriers)

    async def _one(
        self,
        transaction: Transaction,
        tenant: str,
        about: About,
        seen: _Seen,
        since: datetime | None,
        now: datetime,
        carriers: Collection[str],
    ) -> None:
        lasting = self._recovery if seen.open or seen.rule is None else timedelta(seconds=seen.rule.for_seconds)
        match turn(bad=seen.bad, fires=seen.open is not None, since=since, now=now, lasting=lasting):
            case Waiting(began):
                if began != since:
                    await transaction.execute(_WAIT, tenant, *about, began)
                return
            case Turned():
                await _turned(transaction, tenant, seen, carriers)
            case Steady():
                pass
        if since is not None:
            await transaction.execute(_FORGET, tenant, *about)


async def carriers_of(services: Services, tenant: str) -> frozenset[str]:
    """The providers by which alerts of the tenant go out. Raises ``Unavailable``."""
    there = await services.endpoints.all(tenant)
    return frozenset(key.provider for key in there if not key.city) & frozenset(CARRIERS.values())


def _found(rules: Mapping[str, Rule], read: Collection[Reading], unresolved: Collection[Alert]) -> dict[About, _Seen]:
    """All that an alert is open about, or could be."""
    opened = {About(alert.rule_id, alert.provider, alert.city): alert for alert in unresolved}
    found = {about: _Seen(rules.get(about.rule_id), None, alert) for about, alert in opened.items()}
    for rule in rules.values():
        for reading in read:
            if reading.metric is rule.metric and rule.provider in {None, reading.provider}:
                about = About(rule.rule_id, reading.provider, reading.city)
                found[about] = _Seen(rule, reading, opened.get(about))
    return found


async def _turned(transaction: Transaction, tenant: str, seen: _Seen, carriers: Collection[str]) -> None:
    changed: Alert | None = None
    if seen.open is not None:
        value = None if seen.reading is None else seen.reading.value
        changed = await alerts.resolve(transaction, tenant, seen.open, value, carriers)
    elif seen.rule is not None and seen.reading is not None:
        changed = await alerts.fire(transaction, tenant, seen.rule, seen.reading, carriers)
    if changed is not None:
        _tell(tenant, changed)


def _tell(tenant: str, alert: Alert) -> None:
    extra: dict[str, Any] = {"integration.provider": alert.provider, "alert_id": alert.alert_id, "level": alert.level}
    told = "fires" if alert.resolved_at is None else "is over"
    _log.warning("alert %s %s tenant=%s: %s", alert.alert_id, told, tenant, alert.summary, extra=extra)
