"""What the clients of a crash test saw: every promise that the servers made, and what was kept of it."""

from collections import Counter
from dataclasses import dataclass, field

from tests.process import ServerProcess

MOST_TOLD = 10
"""Ids that a violation names; the rest is counted."""


@dataclass(frozen=True)
class Door:
    """Where the clients find a server, and the token for it."""

    url: str
    ws_url: str
    token: str

    @classmethod
    def of(cls, server: ServerProcess, token: str) -> "Door":
        """The door of `server`."""
        return cls(server.url, server.ws_url, token)

    @property
    def headers(self) -> dict[str, str]:
        """The header that signs a client in."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Journal:
    """One run's record. `violations` stays empty while every promise is kept."""

    sent: dict[str, str] = field(default_factory=dict)
    """Event id -> permit of everything that a writer has ever sent, in the order of first sending."""
    acknowledged: set[str] = field(default_factory=set)
    accepted: Counter[str] = field(default_factory=Counter)
    """Event id -> how many answers said "accepted": a second one was a second row."""
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def violation(self, what: str, ids: list[str] | None = None) -> None:
        """Note a broken promise, with the ids it is about."""
        if ids is not None:
            rest = f" and {len(ids) - MOST_TOLD} more" if len(ids) > MOST_TOLD else ""
            what = f"{what}: {', '.join(ids[:MOST_TOLD])}{rest}"
        self.violations.append(what)
