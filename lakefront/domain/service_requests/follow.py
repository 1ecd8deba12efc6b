"""Follow what becomes of service requests: which changes a follower may want, and what goes with them (X1)."""

from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass, fields

from lakefront.actor import SERVICE_REQUESTS_READ, Actor
from lakefront.db.database import Row
from lakefront.db.query import Source
from lakefront.domain import following
from lakefront.domain.following import Arrival, Followed, Start
from lakefront.domain.service_requests.request import STREAM
from lakefront.domain.services import Services
from lakefront.errors import ValidationError
from lakefront.eventlog.events import Event

MOST_WANTED = 1000
"""Items that one list of a filter may have."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which changes a follower wants; None means any. ``states`` and on are the request's when the change arrives."""

    request_ids: Collection[str] | None = None
    event_types: Collection[str] | None = None
    states: Collection[str] | None = None
    complaint_types: Collection[str] | None = None
    boroughs: Collection[str] | None = None
    cities: Collection[str] | None = None

    def check(self) -> None:
        """Raise ``ValidationError`` for an empty or an endless list: it would mean nothing, or all."""
        for each in fields(self):
            items = getattr(self, each.name)
            if items is not None and not 0 < len(items) <= MOST_WANTED:
                first, *rest = each.name.split("_")
                name = first + "".join(map(str.capitalize, rest))
                told = {"field": f"filter.{name}", "message": f"List 1 to {MOST_WANTED} items, or leave it out."}
                raise ValidationError("The filter is not valid. See details.", details=[told])

    def event(self, event: Event) -> bool:
        """Whether the change that ``event`` tells may be wanted, as far as it says itself."""
        return (self.request_ids is None or event.partition_key in self.request_ids) and (
            self.event_types is None or event.event_type in self.event_types
        )

    @property
    def by_row(self) -> bool:
        """Whether it depends on the request, too."""
        return any(wanted is not None for wanted in self._of_row().values())

    def row(self, row: Row) -> bool:
        """Whether changes of the request ``row`` are wanted."""
        return all(wanted is None or row[column] in wanted for column, wanted in self._of_row().items())

    def _of_row(self) -> dict[str, Collection[str] | None]:
        return {
            "state": self.states,
            "complaint_type": self.complaint_types,
            "borough": self.boroughs,
            "city": self.cities,
        }


def follow(
    services: Services,
    actor: Actor,
    requests: Source,
    wanted: Wanted,
    start: Start,
    *,
    with_request: bool = False,
) -> AsyncGenerator[list[Arrival]]:
    """The wanted changes from where ``start`` says, for ever (see ``following.follow``).

    With ``with_request`` each carries its request's row (of ``requests``), the change in it. Who reads own requests
    alone hears of those alone. Raises ``Lagged``, ``CursorExpired``, ``ValidationError``, ``Forbidden``.
    """
    actor.require(SERVICE_REQUESTS_READ)
    wanted.check()
    followed = Followed(STREAM, SERVICE_REQUESTS_READ, requests)
    chosen = following.Wanted(wanted.event, wanted.row if wanted.by_row else None)
    return following.follow(services, actor, followed, start, chosen, with_row=with_request)
