"""What this process knows of each tenant's quotas (T5), and what holds requests and events against them.

PostgreSQL is asked once a second for each tenant that is busy, whatever comes in; in between this process adds what it
let through itself. Two servers do not know of each other's last second.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Final

from redis.asyncio import Redis

from lakefront.actor import Actor
from lakefront.db.database import Database
from lakefront.domain.tenants.daily import DailyCounter
from lakefront.domain.tenants.parts import Parts
from lakefront.domain.tenants.reading import RESUM, Reading, Sums, read
from lakefront.errors import Forbidden, LakefrontError, RateLimited, Unavailable

FRESH: Final = 1.0
"""Seconds for which a reading holds."""

RENEWED: Final = 0.5
"""Seconds after which the next request has it read anew without waiting: while they keep coming, nobody waits."""

STORAGE_RETRY: Final = 3600.0
"""Seconds after which to come again when the storage is full: it does not empty at midnight."""

_FIELDS: Final = {
    "events": "daily_events",
    "pipelines": "daily_pipelines",
    "requests": "daily_requests",
    "storage": "storage_bytes",
}
"""The quotas as a tenant's subscription, and so the details of a refusal, name them."""

Clock = Callable[[], datetime]

_log = logging.getLogger("lakefront.tenants")


def resets_at(day: date) -> datetime:
    """The midnight, in UTC, that ends ``day``."""
    return datetime.combine(day + timedelta(days=1), time_of_day(), UTC)


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Held:
    """A tenant's last reading, and what this process let through.

    ``settled`` events are in the log, of which the reading may lack those beyond ``read_settled``; others are
    ``under_way``.
    """

    reading: Reading | None = None
    read_at: float = -math.inf
    sums: Sums = field(default_factory=Sums)
    settled: int = 0
    read_settled: int = 0
    under_way: int = 0
    reading_now: asyncio.Lock = field(default_factory=asyncio.Lock)
    renewing: asyncio.Task[None] | None = None

    @property
    def unread(self) -> int:
        """Events that the last reading may not have."""
        return self.settled - self.read_settled + self.under_way


class Admitted:
    """Events that were let through; ``settle`` says how many of them are in the log now."""

    def __init__(self, held: "_Held | None" = None, events: int = 0) -> None:
        self._held = held
        self._events = events
        if held is not None:
            held.under_way += events

    def settle(self, accepted: int) -> None:
        """To be called once, whatever became of them."""
        if self._held is not None:
            self._held.under_way -= self._events
            self._held.settled += accepted


class Allowances:
    """One for each server process, part of ``Services``; ``redis`` None: requests are counted by this process alone."""

    def __init__(self, redis: "Redis | None" = None, *, now: Clock = _utc) -> None:
        """``now`` tells the day (aware)."""
        self._now = now
        self._held: dict[str, _Held] = {}
        self._requests = DailyCounter(redis)
        self.refused: Counter[str] = Counter()
        """Refusals by quota (events, pipelines, requests, storage) since this process started."""

    @property
    def today(self) -> date:
        """The UTC day that it is."""
        return self._now().astimezone(UTC).date()

    def used_up(self, quota: str, message: str, *, limit: int, remaining: int = 0) -> RateLimited:
        """The refusal that holds until midnight; what of ``limit`` is left is ``remaining``."""
        seconds = (resets_at(self.today) - self._now()).total_seconds()
        return self._refusal(quota, message, max(1, math.ceil(seconds)), limit, remaining)

    def _refusal(self, quota: str, message: str, retry_after: float, limit: int, remaining: int = 0) -> RateLimited:
        self.refused[quota] += 1
        told = {"field": _FIELDS[quota], "message": message, "limit": limit, "remaining": remaining}
        return RateLimited(message, details=[told], retry_after=retry_after)

    async def reading(self, database: Database, tenant: str, *, exact: bool = False) -> Reading:
        """What ``tenant`` has used: at most a second old; ``exact``: of now, its storage as well.

        Raises ``Forbidden`` for a tenant without a plan, ``Unavailable`` when it is not known and PostgreSQL is away.
        """
        return (await self._read(database, tenant, exact=exact))[1]

    async def admit(self, services: Parts, actor: Actor, events: int) -> Admitted:
        """Let ``events`` of the actor's tenant through to the log, or raise ``RateLimited``; then ``settle`` them.

        All of them must fit into what is left of the day, duplicates and invalid ones included, as nobody has looked at
        them yet. This process never lets more through than the quota, whatever comes in at once. Beside other servers a
        day may end over it by what those took in within one second, which the streams' rate bounds (P6). Storage is
        counted as batches are sealed: it may end over by what was on its way into the lake.
        """
        if not services.settings.limits_on:
            return Admitted()
        held, reading = await self._read(services.database, actor.tenant)
        bounds = reading.bounds
        if bounds.storage_bytes is not None and (reading.storage_bytes or 0) >= bounds.storage_bytes:
            told = f"The storage of {bounds.storage_bytes:,} bytes is full. Ask for a larger plan."
            raise self._refusal("storage", told, STORAGE_RETRY, bounds.storage_bytes)
        if bounds.events is not None:
            self._check_events(bounds.events, reading, held, events)
        return Admitted(held, events)

    def _check_events(self, limit: int, reading: Reading, held: _Held, events: int) -> None:
        left = max(0, limit - reading.events)
        if events > left:
            raise self.used_up(
                "events",
                f"Of the day's {limit:,} events {left:,} are left. Send no more than those, wait for midnight (UTC) as "
                "Retry-After says, or ask for a larger plan.",
                limit=limit,
                remaining=left,
            )
        sure = max(0, left - held.unread)
        if events > sure:
            message = (
                f"Of the day's {limit:,} events only {sure:,} are certain to be left, as other requests are under way "
                "or ended just now. Send this one again in a second, which tells for certain."
            )
            raise self._refusal("events", message, FRESH, limit, sure)

    async def take_request(self, services: Parts, actor: Actor) -> None:
        """Count one request of the actor's tenant, or one operation of a socket, or raise ``RateLimited``.

        Several servers may pass a day by as much as ``DailyCounter`` says. Tenants whose requests are not bound are not
        counted.
        """
        if not services.settings.limits_on:
            return
        if self.take_request_at_once(services, actor):
            return
        try:
            reading = await self.reading(services.database, actor.tenant)
        except Unavailable:
            return  # whatever the request asks of PostgreSQL will say so itself; health and metrics must not
        limit = reading.bounds.requests
        if limit is not None and not (await self._requests.take(_name(actor.tenant, reading.day), limit)).passed:
            raise self.used_up(
                "requests",
                f"The day's {limit:,} requests are used up. Wait for midnight (UTC) as Retry-After says, or ask for a "
                "larger plan.",
                limit=limit,
            )

    def take_request_at_once(self, services: Parts, actor: Actor) -> bool:
        """As ``take_request`` where nobody has to be asked; false, and nothing counted, otherwise."""
        if not services.settings.limits_on:
            return True
        held = self._held.get(actor.tenant)
        reading = None if held is None else self._known(held)
        if held is None or reading is None:
            return False
        if time.monotonic() - held.read_at > RENEWED and held.renewing is None:
            held.renewing = asyncio.create_task(self._renew(services.database, actor.tenant, held))
        limit = reading.bounds.requests
        return limit is None or self._requests.take_at_once(_name(actor.tenant, reading.day), limit) is not None

    async def _renew(self, database: Database, tenant: str, held: _Held) -> None:
        try:
            async with held.reading_now:
                await self._read_anew(database, tenant, held, storage=False)
        except LakefrontError as failure:
            _log.info("a tenant's quotas could not be read before they had to be: %s", failure.code)
        finally:
            held.renewing = None

    async def requests(self, tenant: str, day: date) -> int:
        """Requests of ``day``, as far as they were counted."""
        return await self._requests.used(_name(tenant, day))

    async def close(self) -> None:
        """Read no more, and tell Redis what it has not heard yet."""
        renewing = [held.renewing for held in self._held.values() if held.renewing is not None]
        for task in renewing:
            task.cancel()
        await asyncio.gather(*renewing, return_exceptions=True)
        await self._requests.close()

    def forget(self, tenant: str) -> None:
        """The tenant's quotas changed: read them before the next decision."""
        if held := self._held.get(tenant):
            held.read_at = -math.inf

    async def _read(self, database: Database, tenant: str, *, exact: bool = False) -> tuple[_Held, Reading]:
        held = self._held.setdefault(tenant, _Held())
        if not exact and (known := self._known(held)):
            return held, known
        async with held.reading_now:
            if not exact and (known := self._known(held)):
                return held, known  # whoever held the lock has read it
            return held, await self._read_anew(database, tenant, held, storage=exact)

    def _known(self, held: _Held) -> Reading | None:
        """The last reading, if it still holds."""
        reading = held.reading
        holds = reading is not None and reading.day == self.today and time.monotonic() - held.read_at < FRESH
        return reading if holds else None

    async def _read_anew(self, database: Database, tenant: str, held: _Held, *, storage: bool) -> Reading:
        started, settled = time.monotonic(), held.settled
        if started - held.sums.began > RESUM:
            held.sums = Sums()
        reading = await read(database, tenant, self.today, held.sums, storage=storage)
        if reading is None:
            self._held.pop(tenant, None)
            raise Forbidden("This tenant has no plan. Ask whoever runs this server to give it one.")
        held.reading, held.read_at, held.read_settled = reading, started, settled
        return reading


def _name(tenant: str, day: date) -> str:
    return f"requests:{tenant}:{day.isoformat()}"
