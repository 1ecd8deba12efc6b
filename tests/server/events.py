"""A reader of server-sent events that follows the HTML standard, and what it reads of a GraphQL door."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

EVENTS = {"Accept": "text/event-stream", "Authorization": "Bearer reader"}


@dataclass(frozen=True, slots=True)
class Event:
    """One event as an EventSource tells it, or the block of lines (``kind`` is empty) of which it tells nothing."""

    kind: str
    data: str

    @property
    def answer(self) -> Any:
        """The answer in a ``next``."""
        assert self.kind == "next", self
        return json.loads(self.data)


class Reader:
    """The events of one response; ``last_id`` is what an EventSource would send as ``Last-Event-ID``."""

    def __init__(self, response: httpx.Response, last_id: str = "") -> None:
        self.response = response
        self.last_id = last_id
        self._lines = response.aiter_lines()

    async def block(self, seconds: float = 10) -> Event:
        """What comes until the next empty line, comments too; raises ``StopAsyncIteration`` at the end."""
        kind = ""
        data: list[str] = []
        async with asyncio.timeout(seconds):
            async for line in self._lines:
                if not line:
                    return Event(kind or "message", "\n".join(data)) if data else Event("", "")
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                match name:
                    case "event":
                        kind = value
                    case "data":
                        data.append(value)
                    case "id":
                        self.last_id = value
                    case _:
                        assert name == "", line
        raise StopAsyncIteration

    async def event(self, seconds: float = 10) -> Event:
        """The next event that an EventSource would tell."""
        while not (event := await self.block(seconds)).kind:
            pass
        return event

    async def rest(self) -> list[Event]:
        """All events up to the end."""
        found = []
        try:
            while True:
                found.append(await self.event())
        except StopAsyncIteration:
            return found


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, query: str, *, headers: Mapping[str, str] = EVENTS, last_id: str = "", **variables: Any
) -> AsyncIterator[Reader]:
    """A subscription as an EventSource asks for it: by GET, going on after ``last_id``."""
    params = {"query": query, "variables": json.dumps(variables)}
    sent = {**headers, **({"Last-Event-ID": last_id} if last_id else {})}
    async with client.stream("GET", "/graphql", params=params, headers=sent) as response:
        yield Reader(response, last_id)
