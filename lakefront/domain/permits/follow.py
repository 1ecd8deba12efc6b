"""Follow permit events: which a follower may want, and what goes with them."""

from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass

from lakefront.actor import PERMITS_READ, Actor
from lakefront.db.database import Row
from lakefront.db.query import Source
from lakefront.domain import following
from lakefront.domain.following import Arrival, Followed, Start
from lakefront.domain.services import Services
from lakefront.errors import ValidationError
from lakefront.eventlog.events import Event
from lakefront.eventlog.projections.permits import PERMITS, STREAM

MOST_WANTED = 1000
"""Items that one list of a filter may have."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a follower wants; None means any."""

    permit_ids: Collection[str] | None = None
    event_types: Collection[str] | None = None
    neighborhoods: Collection[str] | None = None

    def check(self) -> None:
        """Raise ``ValidationError`` for an empty or an endless list: it would mean nothing, or all."""
        lists = {
            "permitIds": self.permit_ids,
            "eventTypes": self.event_types,
            "neighborhoods": self.neighborhoods,
        }
        for name, items in lists.items():
            if items is not None and not 0 < len(items) <= MOST_WANTED:
                told = {"field": f"filter.{name}", "message": f"List 1 to {MOST_WANTED} items, or leave it out."}
                raise ValidationError("The filter is not valid. See details.", details=[told])

    def event(self, event: Event) -> bool:
        """Whether ``event`` may be wanted, as far as it says itself."""
        return (self.permit_ids is None or event.partition_key in self.permit_ids) and (
            self.event_types is None or event.event_type in self.event_types
        )

    def row(self, row: Row) -> bool:
        """Whether events of the permit ``row`` are wanted."""
        return self.neighborhoods is None or row["neighborhood"] in self.neighborhoods


def follow(
    services: Services,
    actor: Actor,
    permits: Source,
    wanted: Wanted,
    start: Start,
    *,
    with_permit: bool = False,
) -> AsyncGenerator[list[Arrival]]:
    """The wanted permit events from where ``start`` says, for ever (see ``following.follow``).

    With ``with_permit`` each carries its permit's row (of ``permits``), this event in it.
    Raises ``Lagged``, ``CursorExpired``, ``ValidationError``, ``Forbidden``.
    """
    actor.require(PERMITS_READ)
    wanted.check()
    followed = Followed(STREAM, PERMITS_READ, permits, PERMITS)
    chosen = following.Wanted(wanted.event, wanted.row if wanted.neighborhoods is not None else None)
    return following.follow(services, actor, followed, start, chosen, with_row=with_permit)
