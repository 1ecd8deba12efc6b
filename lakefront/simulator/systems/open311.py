"""Open311 GeoReport v2 (http://wiki.open311.org/GeoReport_v2): one endpoint for two cities, in JSON and in XML."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator import catalogue, places
from lakefront.simulator.answers import Refusal, as_json, coordinates, read_form
from lakefront.simulator.city import City
from lakefront.simulator.clock import iso
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import SUSPENDED, Door, System
from lakefront.simulator.tickets import Stage, Ticket

KEY: Final = "simulated-open311-key"

JURISDICTIONS: Final = {"bos.example": "bos", "nyc.example": "nyc"}
"""As an endpoint of several cities, it wants to hear which one is meant."""

BATCH: Final = frozenset({"003"})
"""Services whose requests get a token first, and their id later."""
BLACKBOX: Final = frozenset({"008"})
"""Services whose requests get neither."""

TOKEN_SECONDS: Final = 30
"""Seconds of the city until a token has become an id."""

SPAN: Final = timedelta(days=90)
MOST: Final = 1000
"""Requests in one answer."""

ATTRIBUTES: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "001": [
        {
            "variable": True,
            "code": "SIZE",
            "datatype": "singlevaluelist",
            "required": True,
            "datatype_description": None,
            "order": 1,
            "description": "How large is it?",
            "values": [{"key": "S", "name": "Small"}, {"key": "M", "name": "Medium"}, {"key": "L", "name": "Large"}],
        },
        {
            "variable": True,
            "code": "LANE",
            "datatype": "string",
            "required": False,
            "datatype_description": None,
            "order": 2,
            "description": "Which lane is it in?",
        },
    ]
}
"""What some services want to know beyond the standard."""

NOTICE: Final = "The city looks at each request within two working days."

_ATTRIBUTE: Final = re.compile(r"attribute\[([^\]]+)\](?:\[\])?")


class Open311(System):
    """Files a ticket each time; whoever is not sure whether it did looks for it by ``service_code`` and time."""

    name = "open311"
    title = "Open311 GeoReport v2"
    limits: ClassVar[Mapping[str, str]] = {"open311": "10/second"}

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self._tokens: dict[str, Ticket] = {}

    def routes(self) -> Sequence[Route]:
        """The methods of the standard, and the discovery."""
        return [
            Route("/open311/discovery.{format}", self.discovery),
            Route("/open311/v2/services.{format}", self.services),
            Route("/open311/v2/services/{code}.{format}", self.definition),
            Route("/open311/v2/requests.{format}", self.submit, methods=["POST"]),
            Route("/open311/v2/requests.{format}", self.requests, methods=["GET"]),
            Route("/open311/v2/requests/{id}.{format}", self.one, methods=["GET"]),
            Route("/open311/v2/tokens/{token}.{format}", self.token, methods=["GET"]),
        ]

    def doors(self) -> Sequence[Door]:
        """A door a city, in JSON and in XML."""
        return [
            Door(version, {"key": KEY, "jurisdiction_id": name}, city, "/open311/v2")
            for version in ("v2", "v2-xml")
            for name, city in JURISDICTIONS.items()
        ]

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """As the standard tells of errors, in the format that was asked for."""
        form = "xml" if request.url.path.endswith(".xml") else "json"
        return _errors(form, 429, "Too many requests.")

    async def discovery(self, request: Request) -> Response:
        """Where the endpoint is."""
        formats = ["text/xml", "application/json"]
        endpoint = {
            "specification": "http://wiki.open311.org/GeoReport_v2",
            "url": "/open311/v2",
            "changeset": "2026-01-01",
        }
        told = {"changeset": "2026-01-01", "contact": "Nobody: this city is made up.", "key_service": "None is needed."}
        if _format(request) == "json":
            return as_json({**told, "endpoints": [{**endpoint, "type": "test", "formats": formats}]})
        return _xml(
            "discovery",
            {**told, "endpoints": {"endpoint": {**endpoint, "type": "test", "formats": {"format": formats}}}},
        )

    async def services(self, request: Request) -> Response:
        """What can be reported."""
        self._jurisdiction(request, request.query_params)
        return _listed(request, "services", "service", [_service(problem) for problem in catalogue.PROBLEMS])

    async def definition(self, request: Request) -> Response:
        """What a service wants to know."""
        self._jurisdiction(request, request.query_params)
        code = request.path_params["code"]
        if code not in catalogue.BY_CODE or code not in ATTRIBUTES:
            raise Refusal(_errors(_format(request), 404, "service_code was not found, or has no definition."))
        told = {"service_code": code, "attributes": ATTRIBUTES[code]}
        if _format(request) == "json":
            return as_json(told)
        attributes = [
            {**each, "values": {"value": each["values"]}} if "values" in each else each for each in ATTRIBUTES[code]
        ]
        return _xml("service_definition", {"service_code": code, "attributes": {"attribute": attributes}})

    async def submit(self, request: Request) -> Response:
        """``POST requests`` as a form: an id, a token, or neither, by the type of the service."""
        fields = await read_form(request)
        form, format_ = dict(fields), _format(request)
        city = self._jurisdiction(request, form)
        key = form.get("api_key") or request.query_params.get("api_key")
        if key == SUSPENDED or not self.shows(key, (KEY,)):
            raise Refusal(_errors(format_, 403, "Missing or invalid API key."))
        attributes: dict[str, list[str]] = {}
        for name, value in fields:
            if (matched := _ATTRIBUTE.fullmatch(name)) is not None:
                attributes.setdefault(matched[1], []).append(value)
        problem = _checked(format_, form, attributes)
        ticket = self._file(city, problem, form, attributes)
        told: dict[str, Any] = {"service_notice": NOTICE, "account_id": form.get("account_id") or None}
        if problem.code in BATCH:
            token = f"token-{ticket.id}"
            self._tokens[token] = ticket
            told = {"token": token, **told}
        elif problem.code not in BLACKBOX:
            told = {"service_request_id": ticket.id, **told}
        response = _listed(request, "service_requests", "request", [told])
        response.status_code = 201
        return response

    async def requests(self, request: Request) -> Response:
        """``GET requests``: by ids, or by service, status and time."""
        query, format_ = request.query_params, _format(request)
        city = self._jurisdiction(request, query)
        tickets = [ticket for ticket in self.city.tickets if ticket.system == self.name and ticket.city == city]
        if ids := query.get("service_request_id"):
            found = [ticket for ticket in tickets if ticket.id in ids.split(",")]
        else:
            start, end = _span(format_, query, self.city.clock.now())
            codes, states = query.get("service_code", ""), query.get("status", "")
            found = [
                ticket
                for ticket in tickets
                if start <= ticket.created <= end
                and (not codes or ticket.service in codes.split(","))
                and (not states or self._state(ticket) in states.split(","))
            ]
            found.sort(key=lambda ticket: ticket.created, reverse=True)
        return _listed(request, "service_requests", "request", [self._told(ticket) for ticket in found[:MOST]])

    async def one(self, request: Request) -> Response:
        """``GET requests/<id>``: a list of one."""
        city = self._jurisdiction(request, request.query_params)
        ticket = self.city.tickets.get(self.name, request.path_params["id"])
        if ticket is None or ticket.city != city:
            raise Refusal(_errors(_format(request), 404, "service_request_id was not found."))
        return _listed(request, "service_requests", "request", [self._told(ticket)])

    async def token(self, request: Request) -> Response:
        """``GET tokens/<token>``: the id, once there is one."""
        self._jurisdiction(request, request.query_params)
        token = request.path_params["token"]
        ticket = self._tokens.get(token)
        if ticket is None:
            raise Refusal(_errors(_format(request), 404, "token was not found."))
        known = self.city.clock.now() - ticket.created >= timedelta(seconds=TOKEN_SECONDS)
        told = {"service_request_id": ticket.id if known else None, "token": token}
        return _listed(request, "service_requests", "request", [told])

    def _jurisdiction(self, request: Request, told: Mapping[str, str]) -> str:
        name = told.get("jurisdiction_id") or request.query_params.get("jurisdiction_id")
        if not name:
            raise Refusal(_errors(_format(request), 400, "jurisdiction_id was not provided."))
        if name not in JURISDICTIONS:
            raise Refusal(_errors(_format(request), 404, "jurisdiction_id provided was not found."))
        return JURISDICTIONS[name]

    def _file(
        self, city: str, problem: catalogue.Problem, form: Mapping[str, str], attributes: Mapping[str, Sequence[str]]
    ) -> Ticket:
        at = coordinates(form.get("lat"), form.get("long"))
        near = places.nearest(*at) if at else None
        return self.city.tickets.file(
            Ticket(
                id=str(293_000 + self.city.tickets.number(self.name)),
                system=self.name,
                city=city,
                service=problem.code,
                created=self.city.clock.now(),
                description=form.get("description", ""),
                address=form.get("address_string") or (near.full if near else ""),
                latitude=at[0] if at else None,
                longitude=at[1] if at else None,
                agency=problem.agency,
                resolution=problem.resolution,
                sent={**form, "attributes": {name: list(values) for name, values in attributes.items()}},
            )
        )

    def _state(self, ticket: Ticket) -> str:
        return "closed" if self.city.tickets.stage(ticket) in {Stage.CLOSED, Stage.CANCELLED} else "open"

    def _told(self, ticket: Ticket) -> dict[str, Any]:
        tickets, problem = self.city.tickets, catalogue.BY_CODE[ticket.service]
        stage, place = tickets.stage(ticket), places.find(ticket.address)
        note = tickets.note(ticket)
        return {
            "service_request_id": ticket.id,
            "status": self._state(ticket),
            "status_notes": note if note is not None or stage is Stage.OPEN else "Work has begun.",
            "service_name": problem.name,
            "service_code": problem.code,
            "description": ticket.description or None,
            "agency_responsible": catalogue.AGENCIES[problem.agency],
            "service_notice": None,
            "requested_datetime": iso(ticket.created),
            "updated_datetime": iso(tickets.updated(ticket)),
            "expected_datetime": iso(ticket.created + timedelta(seconds=tickets.pace.close)),
            "address": ticket.address or None,
            "address_id": ticket.sent.get("address_id") or None,
            "zipcode": place.zipcode if place else None,
            "lat": ticket.latitude,
            "long": ticket.longitude,
            "media_url": ticket.sent.get("media_url") or None,
        }


def _service(problem: catalogue.Problem) -> dict[str, Any]:
    kind = "batch" if problem.code in BATCH else "blackbox" if problem.code in BLACKBOX else "realtime"
    return {
        "service_code": problem.code,
        "service_name": problem.name,
        "description": ", ".join(problem.details),
        "metadata": problem.code in ATTRIBUTES,
        "type": kind,
        "keywords": ",".join(word.lower() for word in problem.details),
        "group": problem.group,
    }


def _checked(format_: str, form: Mapping[str, str], attributes: Mapping[str, Sequence[str]]) -> catalogue.Problem:
    """The service that is meant; ends the request where something is missing or wrong."""
    code = form.get("service_code")
    if not code:
        raise Refusal(_errors(format_, 400, "service_code was not provided."))
    if code not in catalogue.BY_CODE:
        raise Refusal(_errors(format_, 404, "service_code was not found."))
    if {"lat", "long"} & form.keys() and not coordinates(form.get("lat"), form.get("long")):
        raise Refusal(_errors(format_, 400, "lat and long must be degrees, both of them."))
    if not any(form.get(name) for name in ("lat", "address_string", "address_id")):
        raise Refusal(_errors(format_, 400, "A location is required: lat and long, address_string, or address_id."))
    if len(form.get("description", "")) > 4000:
        raise Refusal(_errors(format_, 400, "description is limited to 4,000 characters."))
    for attribute in ATTRIBUTES.get(code, ()):
        given = [value for value in attributes.get(attribute["code"], ()) if value]
        keys = {value["key"] for value in attribute.get("values", ())}
        if (attribute["required"] and not given) or (keys and not keys.issuperset(given)):
            raise Refusal(_errors(format_, 400, f"attribute[{attribute['code']}] is missing or not one of its values."))
    return catalogue.BY_CODE[code]


def _span(format_: str, query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    start, end = _time(format_, query, "start_date"), _time(format_, query, "end_date")
    if start and end and end - start > SPAN:
        raise Refusal(_errors(format_, 400, "start_date and end_date may not span more than 90 days."))
    if start is None:
        return (end or now) - SPAN, end or now
    return start, end or min(now, start + SPAN)


def _time(format_: str, query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Refusal(_errors(format_, 400, f"{name} must be in W3 format, as 2010-01-01T00:00:00Z."))
    return at


def _format(request: Request) -> str:
    form = request.path_params["format"]
    if form not in {"json", "xml"}:
        raise Refusal(_errors("xml", 404, "The formats are xml and json."))
    return str(form)


def _listed(request: Request, root: str, item: str, told: Sequence[Mapping[str, Any]]) -> Response:
    return as_json(told) if _format(request) == "json" else _xml(root, {item: told})


def _errors(format_: str, status: int, text: str) -> Response:
    told = {"code": str(status), "description": text}
    if format_ == "json":
        return as_json([told], status)
    response = _xml("errors", {"error": told})
    response.status_code = status
    return response


def _xml(root: str, data: Mapping[str, Any]) -> Response:
    body = f'<?xml version="1.0" encoding="utf-8"?>\n{_element(root, data)}\n'
    return Response(body, media_type="text/xml")


def _element(name: str, value: Any) -> str:
    """An element; a mapping holds elements by their names, a list repeats the element."""
    if isinstance(value, Mapping):
        return f"<{name}>{''.join(_element(key, each) for key, each in value.items())}</{name}>"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "".join(_element(name, each) for each in value)
    if value is None:
        return f"<{name}/>"
    text = (
        str(value).lower() if isinstance(value, bool) else "".join(c for c in str(value) if c >= " " or c in "\t\n\r")
    )
    return f"<{name}>{escape(text)}</{name}>"
