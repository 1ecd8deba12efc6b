"""People who report things to their city, and keep at it until they are told a number."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx

from tests.chaos.journal import Door, Journal

SECRETS: Final = ("Zaphodine", "Beeblebroxova", "+15550142", "@nowhere.example", "Confidential Lane")
"""What is personal in each report: none of it may be in a log, a span or a dead letter."""

PATIENCE = 20.0
"""Seconds that somebody waits for an answer before asking again with the same key."""

SUBMIT: Final = """
mutation Submit($input: SubmitServiceRequestInput!, $key: String!) {
  submitServiceRequest(input: $input, idempotencyKey: $key) { serviceRequest { requestId } }
}
"""

_WAYS: Final = (
    # (city, provider, service, agency): a city that knows no request again, one to look it up in, one that knows ours.
    ("nyc", "nyc311", None, "DOT"),
    ("bos", "open311", "002", None),
    ("la", "la311", "Graffiti Removal", None),
)


@dataclass
class Report:
    """Something to report. ``word`` is in its description, and in no other's."""

    number: int
    city: str
    provider: str
    service: str | None
    agency: str | None
    request_ids: set[str] = field(default_factory=set)
    """What it was told to be known by: one name, however often it was sent."""

    @property
    def word(self) -> str:
        """What its ticket is recognised by."""
        return f"pothole-{self.number:05d}-end"

    @property
    def input(self) -> dict[str, Any]:
        """The mutation's input."""
        return {
            "city": self.city,
            "provider": self.provider,
            "serviceCode": self.service,
            "agency": self.agency,
            "description": f"A hole in the road: {self.word}",
            "address": f"{self.number} Confidential Lane",
            "postalCode": "10007",
            "point": {"latitude": 40.7 + self.number / 100_000, "longitude": -74.0},
            "caller": {
                "firstName": "Zaphodine",
                "lastName": "Beeblebroxova",
                "phone": f"+15550142{self.number:04d}",
                "email": f"z{self.number}@nowhere.example",
            },
        }


def reports(count: int) -> list[Report]:
    """So many, to each way in turn."""
    return [Report(number, *_WAYS[number % len(_WAYS)]) for number in range(count)]


class Person:
    """Submits what is in ``queue``, one after the other, at any of ``doors``; now and then twice at once."""

    def __init__(self, doors: Sequence[Door], journal: Journal, random: Random) -> None:
        self._doors = doors
        self._journal = journal
        self._random = random

    async def run(self, queue: "asyncio.Queue[Report]", pause: float) -> None:
        """Until the queue is empty; about ``pause`` seconds between two reports."""
        async with httpx.AsyncClient(trust_env=False) as client:
            while not queue.empty():
                report = queue.get_nowait()
                twice = 2 if self._random.random() < 0.05 else 1
                await asyncio.gather(*(self._submit(client, report) for _ in range(twice)))
                await asyncio.sleep(self._random.expovariate(1 / pause))

    async def _submit(self, client: httpx.AsyncClient, report: Report) -> None:
        while not (told := await self._ask(client, report)):
            self._journal.counts["reports sent again"] += 1
            await asyncio.sleep(self._random.uniform(0.05, 0.5))
        report.request_ids.add(told)

    async def _ask(self, client: httpx.AsyncClient, report: Report) -> str | None:
        """The request's id; None when it is to be sent again."""
        door = self._random.choice(self._doors)
        patience = self._random.uniform(0.005, 0.1) if self._random.random() < 0.05 else PATIENCE
        asked = {"query": SUBMIT, "variables": {"input": report.input, "key": f"chaos-{report.number}"}}
        try:
            answer = await client.post(f"{door.url}/graphql", json=asked, headers=door.headers, timeout=patience)
            told = answer.json()
        except (httpx.TransportError, ValueError) as lost:
            self._journal.counts[f"sent again after {type(lost).__name__}"] += 1
            return None
        if not told.get("errors"):
            return str(told["data"]["submitServiceRequest"]["serviceRequest"]["requestId"])
        code = told["errors"][0].get("extensions", {}).get("code", "no code")
        self._journal.counts[f"sent again after {code}"] += 1
        if code != "UNAVAILABLE" and answer.status_code != 503:
            self._journal.violation(f"report {report.number} was told {answer.text[:500]}")
        return None
