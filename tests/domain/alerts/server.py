"""What tests of alerts do with a server: let it call, look, and carry out what waits in the outbox."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from lakefront.actor import Actor
from lakefront.adapters.providers.geoclient import Geoclient
from lakefront.domain import alerts, integrations
from lakefront.domain.alerts import Evaluator, RuleInput
from lakefront.domain.outbox import Job
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError
from lakefront.eventlog.events import Event
from tests.domain.calling import IMPATIENT

POLICY = replace(IMPATIENT, tries=1, window=4, open_pause=0.01, longest_open_pause=0.02, probes=1)
"""A breaker opens at the second failure, and closes at the first call that goes well."""

HANDLERS = {handler.kind: handler for handler in alerts.HANDLERS}

_CLAIM = """
UPDATE lakefront.outbox SET state = 'RUNNING', attempts = attempts + 1
WHERE (tenant_id, job_id) IN (SELECT tenant_id, job_id FROM lakefront.outbox
  WHERE tenant_id = $1 AND state = 'QUEUED' ORDER BY number LIMIT 1) RETURNING *
"""


@dataclass(frozen=True)
class Server:
    """One server of the installation."""

    services: Services
    evaluator: Evaluator

    async def call(self, tenant: str = "city", times: int = 1) -> None:
        """Ask the geocoder so often, whatever comes of it."""
        geocoder = await integrations.adapter(self.services, Geoclient, tenant, "nyc")
        for number in range(times):
            with suppress(LakefrontError):
                await geocoder.geocode(f"{number + 1} Broadway, Manhattan")

    async def look(self, times: int = 1) -> None:
        """Look so often, one interval after the other."""
        for turn in range(times):
            if turn:
                await asyncio.sleep(0.05)
            await self.evaluator.turn()

    async def carry_out(self, tenant: str = "city") -> int:
        """Do all jobs that wait, as the worker does; how many there were."""
        done = 0
        while True:
            async with self.services.database.transaction(tenant) as transaction:
                rows = await transaction.fetch(_CLAIM, tenant)
            if not rows:
                return done
            row = rows[0]
            job = Job(
                *(tenant, row["job_id"], row["kind"], row["key"], row["provider"], row["city"], row["payload"]),
                *(row["attempts"], row["trace_id"], None),
            )
            await HANDLERS[job.kind].run(self.services, job)
            done += 1

    async def rows(self, table: str = "alerts", tenant: str = "city") -> list[dict[str, Any]]:
        """The rows of a table of the tenant."""
        async with self.services.database.transaction(tenant) as transaction:
            found = await transaction.fetch(f"SELECT * FROM lakefront.{table} WHERE tenant_id = $1", tenant)
        return [dict(row) for row in found]

    async def events(self, actor: Actor) -> list[Event]:
        """What the log has of alerts."""
        return (await self.services.log.read(actor, alerts.STREAM, {})).events


async def at_once(server: Server, actor: Actor, *, level: int = 1) -> None:
    """Let the rule of open breakers fire at once, not after five minutes."""
    await alerts.upsert(server.services, actor, RuleInput(rule_id="breaker-open", threshold=0.0, level=level))
