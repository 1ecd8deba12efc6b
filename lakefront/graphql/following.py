"""How a subscription is followed: what its document asks for, and what the door that carries it needs besides (X1).

A field begins with ``info.context.following.start(after, heartbeat)`` and yields deliveries. With that it is resumable
over every door: the door learns the cursor of each delivery whatever the document selects, and may say where to go on.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable


@runtime_checkable
class Delivery(Protocol):
    """What a resumable subscription yields: where it stands, and an event, which a heartbeat has none of."""

    cursor: str
    event: Any


class Start(NamedTuple):
    """Where to begin and how often to tell the cursor; with ``greet`` it is told at once, too."""

    after: str | None
    heartbeat: float | None
    greet: bool


class Following:
    """One operation's agreement between the document and the door."""

    def __init__(self, *, resume_after: str | None = None, heartbeat: float | None = None) -> None:
        """``resume_after``: the cursor after which the client wants to go on, over whatever the document says.

        ``heartbeat``: seconds of silence after which the door wants to know the cursor.
        """
        self._resume_after = resume_after
        self._heartbeat = heartbeat
        self._asked = False

    def start(self, after: str | None, heartbeat: float | None) -> Start:
        """What holds, for a field with these arguments: the client's heartbeat goes before the door's."""
        self._asked = heartbeat is not None
        greet = self._heartbeat is not None
        return Start(self._resume_after or after, heartbeat if self._asked else self._heartbeat, greet)

    def hides(self, payload: object) -> bool:
        """Whether ``payload`` is a heartbeat that the door asked for, and the client did not."""
        return not self._asked and isinstance(payload, Delivery) and payload.event is None
