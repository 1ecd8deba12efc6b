"""New York's 311, in the form of the integration guide, which files, and in today's, which tells the status alone."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from random import Random
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator import catalogue, places
from lakefront.simulator.answers import Refusal, as_json, coordinates, read_object
from lakefront.simulator.city import City
from lakefront.simulator.clock import iso
from lakefront.simulator.datasets import BOROUGHS
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import SUSPENDED, Door, System, seconds
from lakefront.simulator.tickets import Stage, Ticket

KEY: Final = "simulated-311-key"
SECOND_KEY: Final = "simulated-311-second-key"

CODES: Final = {
    Stage.CANCELLED: "614110000",
    Stage.OPEN: "614110001",
    Stage.IN_PROGRESS: "614110002",
    Stage.CLOSED: "614110003",
}
"""Today's form writes where a ticket stands as a number."""

ZONE: Final = ZoneInfo("America/New_York")
"""Today's form writes times without a zone: the city's."""

SEEDED: Final = 25
"""Tickets that are there from the start, so that today's form has something to tell."""


class Nyc311(System):
    """``POST /311/v1/service-requests`` files a ticket each time: there is no idempotency and no look-up."""

    name = "nyc311"
    title = "NYC 311"
    limits: ClassVar[Mapping[str, str]] = {"nyc311": "10/second,100000/day"}

    def __init__(self, city: City) -> None:
        super().__init__(city)
        random = Random(f"{city.seed}/nyc311")
        for _ in range(SEEDED):
            self._seed(random)

    def routes(self) -> Sequence[Route]:
        """Both forms."""
        return [
            Route("/311/v1/service-requests", self.submit, methods=["POST"]),
            Route("/311/v1/service-requests/{number}", self.status, methods=["GET"]),
            Route("/public/api/GetServiceRequest", self.get, methods=["GET"]),
            Route("/public/api/GetServiceRequestList", self.list, methods=["POST"]),
        ]

    def doors(self) -> Sequence[Door]:
        """Today's form, and the guide's."""
        key = {"key": KEY}
        return [Door("public", key, "nyc"), Door("v1", key, "nyc")]

    def caller(self, request: Request) -> str:
        """The key."""
        key = request.headers.get("x-api-key") or request.headers.get("ocp-apim-subscription-key")
        return key or super().caller(request)

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """As its gateway does: 429 for a burst, 403 for the spent day, which the guide calls a quota."""
        if exceeded.rate.per == "day":
            left = str(timedelta(seconds=ceil(exceeded.wait)))
            return _gateway(403, f"Out of call volume quota. Quota will be replenished in {left:0>8}.")
        return _gateway(429, f"Rate limit is exceeded. Try again in {seconds(exceeded.wait)} seconds.")

    async def submit(self, request: Request) -> Response:
        """The guide's form: 201 with a tracking number."""
        self._admit(request, "x-api-key")
        sent = await read_object(request, _invalid("The body is no JSON object."))
        wrong = _wrong(sent)
        if wrong:
            return _invalid(*wrong)
        now = self.city.clock.now()
        number = self.city.tickets.number(self.name)
        problem = catalogue.of_descriptor(sent["agencyCode"], sent["descriptor"])
        at = coordinates(sent.get("latitude"), sent.get("longitude"))
        ticket = Ticket(
            id=f"NYC311-{now:%Y-%m%d}-{number:04d}",
            system=self.name,
            city="nyc",
            service=problem.name,
            created=now,
            description=sent["descriptor"],
            address=sent["incidentAddress"],
            latitude=at[0] if at else None,
            longitude=at[1] if at else None,
            agency=sent["agencyCode"],
            resolution=problem.resolution,
            reference=_sr_number(number),
            test=request.query_params.get("test") == "true",
            sent=sent,
        )
        self.city.tickets.file(ticket)
        return as_json({"trackingNumber": ticket.id, "status": self.city.tickets.stage(ticket)}, 201)

    async def status(self, request: Request) -> Response:
        """The guide's form: where a ticket stands."""
        self._admit(request, "x-api-key")
        ticket = self._find(request.path_params["number"])
        if ticket is None:
            return _error(404, "not_found", "No service request has this tracking number.")
        tickets = self.city.tickets
        return as_json(
            {
                "trackingNumber": ticket.id,
                "status": tickets.stage(ticket),
                "agencyCode": ticket.agency,
                "descriptor": ticket.description,
                "incidentAddress": ticket.address,
                "createdDate": iso(ticket.created),
                "updatedDate": iso(tickets.updated(ticket)),
                "resolutionDescription": tickets.note(ticket),
            }
        )

    async def get(self, request: Request) -> Response:
        """Today's form: one ticket."""
        self._admit(request, "ocp-apim-subscription-key")
        asked = {name.lower(): value for name, value in request.query_params.items()}.get("srnumber")
        if not asked:
            return _public_error(400, "BadRequest", "SRNumber is required.")
        ticket = self._find(asked)
        if ticket is None:
            return _public_error(404, "NotFound", f"Service Request {asked[:40]} was not found.")
        return as_json(self._public(ticket))

    async def list(self, request: Request) -> Response:
        """Today's form: those of some tickets that are there."""
        self._admit(request, "ocp-apim-subscription-key")
        refusal = _public_error(400, "BadRequest", "SRNumbers is required.")
        numbers = (await read_object(request, refusal)).get("SRNumbers")
        if not isinstance(numbers, list) or not numbers:
            return refusal
        found = [self._find(str(number)) for number in numbers]
        return as_json({"SRResponses": [self._public(ticket) for ticket in found if ticket is not None]})

    def _admit(self, request: Request, header: str) -> None:
        key = request.headers.get(header)
        public = header != "x-api-key"
        if key == SUSPENDED:
            raise Refusal(_gateway(403, "The subscription is suspended."))
        if not self.shows(key, (KEY, SECOND_KEY)):
            what = "missing" if key is None else "invalid"
            hint = (
                "include subscription key when making requests to an API"
                if key is None
                else ("provide a valid key for an active subscription")
            )
            raise Refusal(
                _gateway(401, f"Access denied due to {what} subscription key. Make sure to {hint}.")
                if public
                else _error(401, "unauthorized", f"The X-Api-Key header is {what}.")
            )

    def _find(self, number: str) -> Ticket | None:
        return self.city.tickets.get(self.name, number) or self.city.tickets.referred(self.name, number)

    def _public(self, ticket: Ticket) -> dict[str, Any]:
        tickets, stage = self.city.tickets, self.city.tickets.stage(ticket)
        place = places.find(ticket.address)
        told: dict[str, Any] = {
            "SRNumber": ticket.reference,
            "Agency": catalogue.AGENCIES.get(ticket.agency, ticket.agency),
            "Problem": ticket.service,
            "ProblemDetails": ticket.description,
            "AdditionalDetails": "N/A",
            "Status": CODES[stage],
            "DateTimeSubmitted": _local(ticket.created),
            "Address": {
                "Borough": place.area.borough if place else "",
                "FullAddress": f"{place.line.upper()}, {place.area.borough}, NY, {place.zipcode}"
                if place
                else ticket.address.upper(),
            },
        }
        if (note := tickets.note(ticket)) is not None:
            told |= {"ResolutionAction": note, "ResolutionActionUpdatedDate": _local(tickets.updated(ticket))}
        else:
            told["SLARemainingDays"] = "7"
        return told

    def _seed(self, random: Random) -> None:
        problem = random.choice(catalogue.PROBLEMS)
        place = places.place_at(random.randint(1, 900), random.choice(places.STREETS), random.choice(BOROUGHS))
        created = self.city.clock.now() - timedelta(seconds=random.uniform(0, 2 * self.city.tickets.pace.close))
        number = self.city.tickets.number(self.name)
        self.city.tickets.file(
            Ticket(
                id=f"NYC311-{created:%Y-%m%d}-{number:04d}",
                system=self.name,
                city="nyc",
                service=problem.name,
                created=created,
                description=random.choice(problem.details),
                address=f"{place.line}, {place.area.name}, NY {place.zipcode}",
                latitude=place.latitude,
                longitude=place.longitude,
                agency=problem.agency,
                resolution=problem.resolution,
                reference=_sr_number(number),
                seeded=True,
            )
        )


def _wrong(sent: dict[str, Any]) -> list[str]:
    """What is wrong with a request, field by field."""
    wrong = [
        f"{name} is required."
        for name in ("incidentAddress", "descriptor", "agencyCode")
        if not isinstance(sent.get(name), str) or not sent[name].strip()
    ]
    if not wrong and sent["agencyCode"] not in catalogue.AGENCIES:
        wrong.append("agencyCode is not known.")
    if {"latitude", "longitude"} & sent.keys() and not coordinates(sent.get("latitude"), sent.get("longitude")):
        wrong.append("latitude and longitude must be degrees, both of them.")
    return wrong


def _invalid(*wrong: str) -> Response:
    return _error(400, "validation_error", " ".join(wrong))


def _error(status: int, code: str, message: str) -> Response:
    return as_json({"error": {"code": code, "message": message}}, status)


def _gateway(status: int, message: str) -> Response:
    return as_json({"statusCode": status, "message": message}, status)


def _public_error(status: int, code: str, message: str) -> Response:
    return as_json({"Error": {"Code": code, "Message": message}}, status)


def _sr_number(number: int) -> str:
    return f"311-{10_000_000 + number}"


def _local(at: datetime) -> str:
    return at.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:%S")
