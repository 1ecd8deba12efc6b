"""Tickets of all 311 systems: they are filed, worked on and closed as the city's clock goes on."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Any, NamedTuple

from lakefront.simulator.clock import Clock, iso


class Stage(StrEnum):
    """Where a ticket stands."""

    OPEN = "Open"
    IN_PROGRESS = "In Progress"
    CLOSED = "Closed"
    CANCELLED = "Cancelled"


class Pace(NamedTuple):
    """Seconds of the city until a ticket is worked on, and until it is closed; each ticket takes 0.5 to 1.5 of them."""

    progress: float = 3600.0
    close: float = 86_400.0


class Fate(NamedTuple):
    """What somebody decided about a ticket: from then on it stands so, whatever the pace."""

    stage: Stage
    note: str
    at: datetime


@dataclass(slots=True)
class Ticket:
    """A service request at one system. ``sent`` is what came, all of it: the city is made up, and so is its data.

    ``test`` marks one that was sent to try things out, ``seeded`` one that was there from the start.
    """

    id: str
    system: str
    city: str
    service: str
    created: datetime
    description: str
    address: str
    latitude: float | None
    longitude: float | None
    agency: str = ""
    resolution: str = ""
    reference: str | None = None
    test: bool = False
    seeded: bool = False
    sent: dict[str, Any] = field(default_factory=dict)
    fate: Fate | None = None
    tempo: float = 1.0


class Tickets:
    """All of them, by system and id."""

    def __init__(self, clock: Clock, *, seed: int, pace: Pace) -> None:
        self.pace = pace
        self._clock = clock
        self._seed = seed
        self._all: dict[tuple[str, str], Ticket] = {}
        self._referred: dict[tuple[str, str], Ticket] = {}
        self._numbers: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Ticket]:
        return iter(list(self._all.values()))

    @property
    def filed(self) -> list[Ticket]:
        """Those that clients filed in earnest, in the order of their coming."""
        return [ticket for ticket in self if not (ticket.seeded or ticket.test)]

    def number(self, system: str) -> int:
        """The next number of a system, from 1 on."""
        self._numbers[system] += 1
        return self._numbers[system]

    def file(self, ticket: Ticket) -> Ticket:
        """Take a ticket in."""
        ticket.tempo = Random(f"{self._seed}/{ticket.system}/{ticket.id}").uniform(0.5, 1.5)
        self._all[ticket.system, ticket.id] = ticket
        if ticket.reference is not None:
            self._referred.setdefault((ticket.system, ticket.reference), ticket)
        return ticket

    def get(self, system: str, id_: str) -> Ticket | None:
        """The ticket of that system with that id."""
        return self._all.get((system, id_))

    def referred(self, system: str, reference: str) -> Ticket | None:
        """The first ticket of that system with that second name: the caller's own, or another of the system's."""
        return self._referred.get((system, reference))

    def decide(self, ticket: Ticket, stage: Stage, note: str) -> None:
        """Let a ticket stand at ``stage`` from now on."""
        ticket.fate = Fate(stage, note, self._clock.now())

    def stage(self, ticket: Ticket) -> Stage:
        """Where the ticket stands now."""
        if ticket.fate is not None:
            return ticket.fate.stage
        age = (self._clock.now() - ticket.created).total_seconds()
        if age >= self.pace.close * ticket.tempo:
            return Stage.CLOSED
        return Stage.IN_PROGRESS if age >= self.pace.progress * ticket.tempo else Stage.OPEN

    def updated(self, ticket: Ticket) -> datetime:
        """When it came to stand there."""
        if ticket.fate is not None:
            return ticket.fate.at
        match self.stage(ticket):
            case Stage.CLOSED:
                return ticket.created + timedelta(seconds=self.pace.close * ticket.tempo)
            case Stage.IN_PROGRESS:
                return ticket.created + timedelta(seconds=self.pace.progress * ticket.tempo)
            case _:
                return ticket.created

    def note(self, ticket: Ticket) -> str | None:
        """What the city says about how it ended; ``None`` while it has not."""
        if ticket.fate is not None:
            return ticket.fate.note
        return ticket.resolution if self.stage(ticket) is Stage.CLOSED else None

    def told(self, ticket: Ticket) -> dict[str, Any]:
        """The ticket as plain data."""
        return {
            "id": ticket.id,
            "system": ticket.system,
            "city": ticket.city,
            "service": ticket.service,
            "agency": ticket.agency,
            "status": self.stage(ticket),
            "note": self.note(ticket),
            "created": iso(ticket.created),
            "updated": iso(self.updated(ticket)),
            "description": ticket.description,
            "address": ticket.address,
            "latitude": ticket.latitude,
            "longitude": ticket.longitude,
            "reference": ticket.reference,
            "test": ticket.test,
            "seeded": ticket.seeded,
            "sent": ticket.sent,
        }
