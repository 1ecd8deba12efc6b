"""A producer as careful as it should be: it sends a batch again, with the same ids, until it is acknowledged."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx

from tests.chaos.journal import Door, Journal

LARGEST = 200
"""Events of the largest batch."""

PERMITS = 40
"""Permits that a writer works on at a time; each belongs to one writer, so that its events have one order."""

PATIENCE = 10.0
"""Seconds that a writer waits for an answer, unless it is impatient."""

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)

Event = dict[str, Any]


class Writer:
    """Sends batches of 1 to LARGEST events at about `rate` events/s, to any of `doors`."""

    def __init__(self, name: str, doors: Sequence[Door], journal: Journal, random: Random, *, rate: float) -> None:
        self._name = name
        self._doors = doors
        self._journal = journal
        self._random = random
        self._rate = rate
        self._steps: dict[str, int] = {}
        self._known: list[Event] = []

    async def run(self, ending: asyncio.Event) -> None:
        """Write until `ending` is set, and then until the last batch is acknowledged."""
        async with httpx.AsyncClient(trust_env=False) as client:
            while not ending.is_set():
                batch = self._batch()
                await self._deliver(client, batch)
                await asyncio.sleep(self._random.expovariate(self._rate / len(batch)))

    def _batch(self) -> list[Event]:
        """New events, most often few, and now and then some that were acknowledged before."""
        size = min(LARGEST, round(LARGEST ** self._random.random()))
        batch = [self._next_event() for _ in range(size)]
        self._journal.sent.update((event["eventId"], event["permitId"]) for event in batch)
        if self._known and self._random.random() < 0.1:
            batch += self._random.sample(self._known, min(5, len(self._known), LARGEST + 5 - size))
        return batch

    def _next_event(self) -> Event:
        permit = f"{self._name}-{self._random.randrange(PERMITS)}"
        step = self._steps[permit] = self._steps.get(permit, 0) + 1
        first = step == 1
        return {
            "eventId": f"{permit}-{step}",
            "permitId": permit,
            "eventType": "permit_filed" if first else "status_change",
            "timestamp": (EPOCH + timedelta(seconds=step)).isoformat(),
            "eventData": {"description": permit, "step": 1} if first else {"newStatus": f"step {step}", "step": step},
        }

    async def _deliver(self, client: httpx.AsyncClient, batch: list[Event]) -> None:
        counts = self._journal.counts
        while (answer := await self._post(client, batch)) is None:
            counts["batches sent again"] += 1
            await asyncio.sleep(self._random.uniform(0.02, 0.3))
        self._acknowledge(batch, answer)
        counts["batches"] += 1
        self._known = self._random.sample([*self._known, *batch], min(50, len(self._known) + len(batch)))

    async def _post(self, client: httpx.AsyncClient, batch: list[Event]) -> dict[str, Any] | None:
        """The answer that acknowledges the batch; None when it is to be sent again."""
        door = self._random.choice(self._doors)
        patience = self._random.uniform(0.005, 0.1) if self._random.random() < 0.05 else PATIENCE
        try:
            answer = await client.post(
                f"{door.url}/sf-permit-events", json=batch, headers=door.headers, timeout=patience
            )
        except httpx.TransportError as lost:
            self._journal.counts[f"sent again after {type(lost).__name__}"] += 1
            return None
        if answer.status_code == 200:
            return dict(answer.json())
        self._journal.counts[f"sent again after {answer.status_code}"] += 1
        if answer.status_code != 503:
            self._journal.violation(f"{self._name} got {answer.status_code} {answer.text[:500]}")
        elif "retry-after" not in answer.headers:
            self._journal.violation(f"{self._name} got 503 without Retry-After: {answer.text[:500]}")
        return None

    def _acknowledge(self, batch: list[Event], answer: dict[str, Any]) -> None:
        journal, ids = self._journal, [event["eventId"] for event in batch]
        verdicts = {verdict["index"]: verdict["verdict"] for verdict in answer["verdicts"]}
        refused = [ids[index] for index, verdict in verdicts.items() if verdict != "duplicate"]
        if refused or answer["eventsReceived"] != len(batch):
            journal.violation(f"{self._name} got verdicts it did not expect, {answer['rejected']} rejected", refused)
        accepted = [event_id for index, event_id in enumerate(ids) if index not in verdicts]
        stranger = [event_id for event_id in accepted if event_id in journal.acknowledged]
        if stranger:
            journal.violation("accepted again after they were acknowledged", stranger)
        journal.accepted.update(accepted)
        journal.acknowledged.update(ids)
        journal.counts["duplicates found"] += len(verdicts)
