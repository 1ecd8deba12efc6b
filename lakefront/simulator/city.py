"""The state of the made-up city, shared by all systems and steered by ``/_control``."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lakefront.simulator.clock import Clock
from lakefront.simulator.faults import Fault, Faults
from lakefront.simulator.journal import KEPT, Journal
from lakefront.simulator.limits import Limits
from lakefront.simulator.tickets import Pace, Tickets


class City:
    """Clock, faults, limits, tickets, and what was received. All that is random in it follows from ``seed``."""

    def __init__(
        self,
        seed: int = 0,
        *,
        faults: Iterable[Fault] = (),
        limits: Mapping[str, str] | None = None,
        start: datetime | None = None,
        speed: float = 1.0,
        pace: Pace | None = None,
        rows: int = 2000,
    ) -> None:
        """``rows`` is the size of each open data set; ``limits`` go over those of the systems."""
        self.seed = seed
        self.rows = rows
        self.clock = Clock(start, speed=speed)
        self.faults = Faults(faults, seed=seed)
        self.limits = Limits(self.clock)
        self.own_limits = dict(limits or {})
        self.tickets = Tickets(self.clock, seed=seed, pace=pace or Pace())
        self.journal = Journal()
        self.messages: deque[dict[str, Any]] = deque(maxlen=KEPT)
        """E-mails, text messages and chat messages, as they came; ``system`` says where."""
        self.webhooks: deque[dict[str, Any]] = deque(maxlen=KEPT)
        """Deliveries to the webhook receiver, those included that it refused, and why."""
        self.alerts: dict[str, dict[str, Any]] = {}
        """Alerts by their key, with all that was said of each."""
        self.closing = asyncio.Event()
        """Set when the server stops: whoever waits goes on at once."""

    async def pause(self, seconds: float) -> None:
        """Wait for so long in real time, or until the server stops."""
        if seconds > 0 and not self.closing.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self.closing.wait()
            except TimeoutError:
                return
