"""A subscriber that goes on from its last cursor whenever its socket is lost."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from lakefront.eventlog.cursors import decode
from lakefront.eventlog.projections.permits import STREAM
from tests.chaos.journal import Door, Journal

SILENCE = 5.0
"""Seconds without a message, not even a heartbeat, after which the subscriber gives a socket up."""

STEP = "step "

EXPECTED = {"UNAVAILABLE", "LAGGED"}
"""Errors that a subscriber must live with: it subscribes again."""

RESUMABLE = {1000, 1001, 1012, 1013}
"""Close codes of a server that ends or cannot serve now."""


@dataclass(frozen=True)
class Wish:
    """What a subscriber asks for: from which cursor at first, of which types and permits, with the permit's state."""

    after: str | None = None
    event_types: tuple[str, ...] | None = None
    permit_ids: tuple[str, ...] | None = None
    with_permit: bool = False

    def includes(self, event_type: str, permit_id: str) -> bool:
        """Whether the subscriber wants such an event."""
        return (self.event_types is None or event_type.upper() in self.event_types) and (
            self.permit_ids is None or permit_id in self.permit_ids
        )

    @property
    def filter(self) -> dict[str, tuple[str, ...]] | None:
        """The variable of that name: what does not restrict is left out."""
        lists = {"eventTypes": self.event_types, "permitIds": self.permit_ids}
        return {name: items for name, items in lists.items() if items is not None} or None

    @property
    def document(self) -> str:
        """The subscription as GraphQL."""
        permit = "permit { permitId status }" if self.with_permit else ""
        return (
            "subscription ($after: String, $filter: PermitEventSubscriptionFilter) "
            "{ permitEvents(after: $after, filter: $filter, heartbeat: 1) "
            f"{{ cursor event {{ eventId permitId shard offset }} {permit} }} }}"
        )


class Delivered(NamedTuple):
    """An event as it came, and where the log has it."""

    event_id: str
    shard: int
    offset: int


class _Resume(Exception):
    """This subscription is over; there is another to be had."""


@dataclass
class Subscriber:
    """Follows through any of `doors`, leaving by itself now and then; `delivered` is what came, in order."""

    name: str
    wish: Wish
    doors: Sequence[Door]
    journal: Journal
    random: Random
    delivered: list[Delivered] = field(default_factory=list)
    owed_from: dict[int, int] = field(default_factory=dict)
    """Shard -> the first offset that it must have got: with its first message it learned where "now" was."""
    cursor: str | None = None
    """The cursor of the last message, or the one that LAGGED told."""

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            door = self.random.choice(self.doors)
            try:
                async with asyncio.timeout(self.random.expovariate(1 / 10)):  # then it leaves by itself
                    await self._follow(door)
            except ConnectionClosed as closed:
                self._note_close(closed)
            except (OSError, TimeoutError, InvalidHandshake, EOFError, _Resume) as lost:
                self.journal.counts[f"resumed after {type(lost).__name__.lstrip('_')}"] += 1
            self.journal.counts["subscriptions resumed"] += 1
            await asyncio.sleep(self.random.uniform(0.02, 0.3))

    async def _follow(self, door: Door) -> None:
        by_header = self.random.random() < 0.5
        async with connect(
            door.ws_url,
            subprotocols=[Subprotocol("graphql-transport-ws")],
            additional_headers=door.headers if by_header else None,
            proxy=None,
            compression=None,
            open_timeout=SILENCE,
            close_timeout=0.5,
        ) as socket:
            await _send(socket, {"type": "connection_init", "payload": None if by_header else door.headers})
            await _receive(socket)
            variables = {"after": self.cursor or self.wish.after, "filter": self.wish.filter}
            payload = {"query": self.wish.document, "variables": variables}
            await _send(socket, {"id": "1", "type": "subscribe", "payload": payload})
            while True:
                self._take(await _receive(socket))

    def _take(self, message: dict[str, Any]) -> None:
        payload: Any = message.get("payload")
        if message["type"] == "next":
            errors, data = payload.get("errors", []), payload.get("data")
        else:
            errors, data = payload or [], None
        self._note(errors)
        if not data or not data["permitEvents"]:
            raise _Resume
        self._deliver(data["permitEvents"], complete=not errors)

    def _note_close(self, closed: ConnectionClosed) -> None:
        frame = closed.rcvd
        self.journal.counts[f"resumed after close {frame.code if frame else 1006}"] += 1
        if frame is not None and frame.code not in RESUMABLE:
            self.journal.violation(f"{self.name} was closed with {frame.code} {frame.reason}")

    def _note(self, errors: list[dict[str, Any]]) -> None:
        for error in errors:
            extensions = error.get("extensions", {})
            code = extensions.get("code", "no code")
            self.journal.counts[f"subscribers were told {code}"] += 1
            if code not in EXPECTED and self.journal.counts[f"subscribers were told {code}"] == 1:
                self.journal.violation(f"{self.name} was told {json.dumps(error)[:500]}")
            if code == "LAGGED":
                self.cursor = extensions["cursor"]

    def _deliver(self, told: dict[str, Any], *, complete: bool) -> None:
        event = told["event"]
        if self.cursor is None and self.wish.after is None:
            self.owed_from = decode(STREAM, told["cursor"]).offsets
            if event is not None:
                self.owed_from[event["shard"]] = int(event["offset"])
        self.cursor = told["cursor"]
        if event is None:
            return
        self.delivered.append(Delivered(event["eventId"], event["shard"], int(event["offset"])))
        if self.wish.with_permit and complete:
            self._check_permit(event, told["permit"])

    def _check_permit(self, event: dict[str, Any], permit: dict[str, Any] | None) -> None:
        """The permit's row has the event in it: it is at this step, or at a later one."""
        step = int(event["eventId"].rpartition("-")[2])
        reached = int(permit["status"].removeprefix(STEP).replace("filed", "1")) if permit else 0
        if reached < step:
            self.journal.counts["permits older than their event"] += 1


async def _send(socket: ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(json.dumps(message))


async def _receive(socket: ClientConnection) -> dict[str, Any]:
    """The next message that is not a ping."""
    while True:
        async with asyncio.timeout(SILENCE):
            message: dict[str, Any] = json.loads(await socket.recv())
        if message["type"] != "ping":
            return message
        await _send(socket, {"type": "pong"})
