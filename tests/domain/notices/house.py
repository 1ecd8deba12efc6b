"""A tenant whose rules tell a simulated city: events go in, the outbox' worker sends, both sides are looked at."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson

from lakefront.actor import Actor
from lakefront.domain import notices
from lakefront.domain.notices import Channel, NewWebhook, NoticeRule, RecipientKind, RuleInput, Sender, WithSecret
from lakefront.domain.outbox import OutboxWorker
from lakefront.domain.outbox.pace import Pace
from lakefront.domain.permits import STREAM as PERMITS
from lakefront.domain.service_requests import STREAM as REQUESTS
from lakefront.domain.services import Services
from lakefront.eventlog.backlog import Backlog
from lakefront.eventlog.events import NewEvent
from lakefront.eventlog.projections.runner import ProjectionRunner
from lakefront.simulator import Simulator
from lakefront.simulator.systems.webhook import Webhook as Receiver

QUICK = Pace(
    poll=0.05, sweep=60, lease=0.6, look_up_after=0.1, first_pause=0.05, longest_pause=0.1, retry_for=1, looking_for=1
)
"""What takes minutes elsewhere."""

ADDRESS, NUMBER = "jane.doe@example.com", "+12125550123"
AT = datetime(2026, 5, 28, 14, tzinfo=UTC)


@dataclass
class House:
    """The tenant: what it works with, and the city that it tells."""

    services: Services
    actor: Actor
    city: Simulator
    _numbers: Any = field(default_factory=lambda: count(1))

    async def rule(self, channel: Channel = Channel.MAIL, **given: Any) -> NoticeRule:
        """A rule of issued permits to a fixed address, unless ``given`` says otherwise."""
        kinds = {Channel.SLACK: RecipientKind.CHAT, Channel.WEBHOOK: RecipientKind.WEBHOOK}
        values: dict[str, Any] = {
            "name": f"rule {next(self._numbers)}",
            "stream": PERMITS,
            "event_types": ("status_change",),
            "channel": channel,
            "recipient_kind": kinds.get(channel, RecipientKind.ADDRESS),
            "text": "Permit ${permitId} is ${newStatus}.",
            **given,
        }
        if values["recipient_kind"] is RecipientKind.ADDRESS:
            values.setdefault("address", ADDRESS if channel is Channel.MAIL else NUMBER)
        if channel is Channel.MAIL:
            values.setdefault("subject", "Permit ${permitId}")
        return (await notices.upsert(self.services, self.actor, RuleInput(**values))).rule

    async def webhook(self, **given: Any) -> WithSecret:
        """A webhook in the city, which knows its secret."""
        values = {"name": f"hook {next(self._numbers)}", "url": f"{self.city.url}/webhook/hooks/ours", **given}
        made = await notices.register(self.services, self.actor, NewWebhook(**values))
        self.receiver.secrets.add(made.secret)
        return made

    @property
    def receiver(self) -> Receiver:
        """Who takes webhooks."""
        found = self.city.systems["webhook"]
        assert isinstance(found, Receiver)
        return found

    async def happens(
        self, about: str = "P1", event_type: str = "status_change", *, stream: str = PERMITS, **data: Any
    ) -> str:
        """An event in the log; its id."""
        event_id = f"evt-{next(self._numbers)}"
        payload = orjson.dumps({"newStatus": "issued"} | data, option=orjson.OPT_SORT_KEYS)
        event = NewEvent(event_id, event_type, about, AT, payload, f"trace-{event_id}")
        await self.services.log.append(self.actor, stream, [event])
        return event_id

    async def plan(self) -> None:
        """Turn what happened into notices."""
        backlog = Backlog(self.services.provisioner)
        for stream in (PERMITS, REQUESTS):
            runner = ProjectionRunner(self.services.database, notices.projection(stream), backlog, poll=1)
            while await runner.step(self.actor.tenant):
                pass

    async def sent(self, *, pace: Pace = QUICK, patience: float = 15.0) -> list[dict[str, Any]]:
        """Plan, then work until no notice waits: the notices, in the order of their events."""
        await self.plan()
        async with working(self.services, pace), asyncio.timeout(patience):
            while any(notice["state"] == "QUEUED" for notice in await self.notices()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return await self.notices()

    async def notices(self) -> list[dict[str, Any]]:
        """All rows."""
        async with self.services.database.transaction(self.actor.tenant) as transaction:
            rows = await transaction.fetch('SELECT * FROM lakefront.notices ORDER BY "offset", rule_id')
        return [dict(row) for row in rows]

    def messages(self, system: str) -> list[Mapping[str, Any]]:
        """What a system of the city has taken."""
        return [each["message"] for each in self.city.messages if each["system"] == system]


@asynccontextmanager
async def working(services: Services, pace: Pace = QUICK) -> AsyncIterator[OutboxWorker]:
    """The outbox' worker, until the block ends as if it were killed: nothing is brought to its end."""
    worker = OutboxWorker(services, None, [Sender()], pace=pace)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        under_way = [task for task in asyncio.all_tasks() if task.get_name().startswith("outbox ")]
        for task in (running, *under_way):
            task.cancel()
        await asyncio.gather(running, *under_way, return_exceptions=True)
