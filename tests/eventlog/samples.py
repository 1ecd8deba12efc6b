"""Events for tests of the log."""

from datetime import UTC, datetime
from typing import Any

from lakefront.actor import Actor, system_actor
from lakefront.eventlog.driver import EventLog
from lakefront.eventlog.events import Event, NewEvent

ACTOR: Actor = system_actor()
STREAM = "sf-permit-events"


def event(event_id: str, key: str | None = None, payload: bytes = b'{"a": 1}', **more: Any) -> NewEvent:
    """An event of a permit of its own, unless ``key`` names another."""
    defaults: dict[str, Any] = {
        "occurred_at": datetime(2024, 1, 15, 10, 30, 0, 500_000, tzinfo=UTC),
        "trace_id": "trace",
    }
    return NewEvent(
        event_id=event_id,
        event_type="permit_filed",
        partition_key=key or event_id,
        payload=payload,
        **(defaults | more),
    )


def events(prefix: str, count: int) -> list[NewEvent]:
    """``count`` different events."""
    return [event(f"{prefix}-{number}") for number in range(count)]


async def everything(log: EventLog, actor: Actor = ACTOR, *, limit: int = 1000) -> list[Event]:
    """All events of the stream, page by page."""
    found: list[Event] = []
    position: dict[int, int] = {}
    while (page := await log.read(actor, STREAM, position, limit=limit)).events:
        found += page.events
        position = page.position
    return found


def assert_gapless(found: list[Event]) -> None:
    """In every shard the offsets are 0, 1, 2, … in just this order."""
    for shard in {event.shard for event in found}:
        offsets = [event.offset for event in found if event.shard == shard]
        assert offsets == list(range(len(offsets)))
