"""Los Angeles' 311: JSON in the names of its published data, and a caller's reference that never files twice."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator.answers import Refusal, as_json, bearer, coordinates, read_object
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import SUSPENDED, Door, System
from lakefront.simulator.tickets import Stage, Ticket

KEY: Final = "simulated-la311-key"

TYPES: Final = {
    "Pothole": ("BSS", "The pothole was filled."),
    "Bulky Items": ("LASAN", "The items were collected."),
    "Graffiti Removal": ("OCB", "The graffiti was removed."),
    "Illegal Dumping Pickup": ("LASAN", "The location was cleaned."),
    "Single Streetlight Issue": ("BSL", "The streetlight was repaired."),
    "Dead Animal Removal": ("LASAN", "The animal was collected."),
    "Other": ("311", "The request was answered."),
}
"""What can be requested, who sees to it, and how it ends."""

ZONE: Final = ZoneInfo("America/Los_Angeles")
"""Times are written without a zone: the city's."""

STATUSES: Final = {
    Stage.OPEN: "Open",
    Stage.IN_PROGRESS: "Pending",
    Stage.CLOSED: "Closed",
    Stage.CANCELLED: "Cancelled",
}


class La311(System):
    """The same ``ExternalReference`` again is answered 200 with what it filed; with another body it is a 409."""

    name = "la311"
    title = "MyLA311"
    limits: ClassVar[Mapping[str, str]] = {"la311": "5/second,50000/day"}

    def routes(self) -> Sequence[Route]:
        """Filing, looking up, reading."""
        path = "/myla311/v1/servicerequests"
        return [
            Route(path, self.submit, methods=["POST"]),
            Route(path, self.search, methods=["GET"]),
            Route(f"{path}/{{number}}", self.one, methods=["GET"]),
            Route("/myla311/v1/servicetypes", self.types, methods=["GET"]),
        ]

    def doors(self) -> Sequence[Door]:
        """A key."""
        return [Door("v1", {"key": KEY}, "la")]

    def caller(self, request: Request) -> str:
        """The key."""
        return bearer(request) or super().caller(request)

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """As it tells of errors."""
        return _error(429, "too many requests")

    async def types(self, request: Request) -> Response:
        """What can be requested."""
        self._admit(request)
        return as_json({"ServiceTypes": [{"RequestType": name, "Owner": owner} for name, (owner, _) in TYPES.items()]})

    async def submit(self, request: Request) -> Response:
        """201 with a number; 200 where that reference was filed before."""
        self._admit(request)
        sent = await read_object(request, _error(400, "the body is no JSON object"))
        at = coordinates(sent.get("Latitude"), sent.get("Longitude"))
        kind, address, reference = sent.get("RequestType"), sent.get("Address"), sent.get("ExternalReference")
        if not isinstance(kind, str) or kind not in TYPES:
            return _error(400, f"RequestType must be one of {', '.join(TYPES)}")
        if not (isinstance(address, str) and address.strip()) and at is None:
            return _error(400, "Address, or Latitude and Longitude, are required")
        if reference is not None and not (isinstance(reference, str) and 1 <= len(reference) <= 100):
            return _error(400, "ExternalReference must be a text of at most 100 characters")
        before = self.city.tickets.referred(self.name, reference) if reference else None
        if before is not None:
            return (
                as_json(self._told(before)) if before.sent == sent else _error(409, "ExternalReference was used before")
            )
        ticket = Ticket(
            id=f"1-{4_000_000_000 + self.city.tickets.number(self.name)}",
            system=self.name,
            city="la",
            service=kind,
            created=self.city.clock.now(),
            description=str(sent.get("Comments") or ""),
            address=str(address or ""),
            latitude=at[0] if at else None,
            longitude=at[1] if at else None,
            agency=TYPES[kind][0],
            resolution=TYPES[kind][1],
            reference=reference,
            sent=sent,
        )
        return as_json(self._told(self.city.tickets.file(ticket)), 201)

    async def search(self, request: Request) -> Response:
        """``?ExternalReference=``: the request that it made, or none."""
        self._admit(request)
        reference = request.query_params.get("ExternalReference")
        if not reference:
            return _error(400, "ExternalReference is required")
        ticket = self.city.tickets.referred(self.name, reference)
        return as_json({"ServiceRequests": [self._told(ticket)] if ticket else []})

    async def one(self, request: Request) -> Response:
        """One request."""
        self._admit(request)
        ticket = self.city.tickets.get(self.name, request.path_params["number"])
        return as_json(self._told(ticket)) if ticket else _error(404, "no such service request")

    def _admit(self, request: Request) -> None:
        key = bearer(request)
        if key == SUSPENDED:
            raise Refusal(_error(403, "the key is suspended"))
        if not self.shows(key, (KEY,)):
            raise Refusal(_error(401, "a key is required"))

    def _told(self, ticket: Ticket) -> dict[str, Any]:
        tickets, form = self.city.tickets, "%m/%d/%Y %I:%M:%S %p"
        stage, updated = tickets.stage(ticket), tickets.updated(ticket).astimezone(ZONE)
        return {
            "SRNumber": ticket.id,
            "RequestType": ticket.service,
            "Status": STATUSES[stage],
            "Owner": ticket.agency,
            "CreatedDate": f"{ticket.created.astimezone(ZONE):{form}}",
            "UpdatedDate": f"{updated:{form}}",
            "ServiceDate": f"{updated:{form}}" if stage is Stage.CLOSED else None,
            "ActionTaken": tickets.note(ticket),
            "RequestSource": "API",
            "Address": ticket.address or None,
            "Latitude": ticket.latitude,
            "Longitude": ticket.longitude,
            "ExternalReference": ticket.reference,
        }


def _error(status: int, message: str) -> Response:
    return as_json({"status": {"code": status, "message": message}}, status)
