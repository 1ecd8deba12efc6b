"""Open311 GeoReport v2 (http://wiki.open311.org/GeoReport_v2): any city that conforms to it, by settings alone (C3)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from lakefront.adapters.base311 import Base311Adapter
from lakefront.adapters.calls import Request, Response, Unreadable, segment
from lakefront.adapters.calls.markup import XML, listed, parsed_xml
from lakefront.adapters.calls.reading import JSON
from lakefront.adapters.dto import Wire, found_at
from lakefront.adapters.service_requests import (
    Answering,
    NewServiceRequest,
    Resubmission,
    Service,
    ServiceAttribute,
    ServiceDefinition,
    ServiceRequestDTO,
    State,
)
from lakefront.errors import LakefrontError, NotFound, UpstreamDenied, ValidationError

AROUND: Final = timedelta(hours=1)
"""Before and after the time at which it was tried that a request is looked for: clocks are wrong."""

LONGEST_DESCRIPTION: Final = 4000
"""Characters, by the standard; our reference is among them."""

MOST_LISTED: Final = 1000
"""Requests that the standard lists at most; whoever lists so many may have left some out."""

MOST_PAGES: Final = 20


class Open311(Base311Adapter):
    """``v2`` in JSON, ``v2-xml`` for cities that have XML alone. What may have been filed is found by our reference."""

    provider = "open311"
    title = "Open311"
    default_base_url = "https://311.boston.gov/open311/v2"
    api_versions = ("v2", "v2-xml")
    credentials: ClassVar = {
        "key": "API key, to file requests",
        "jurisdiction_id": "jurisdiction_id, where the endpoint is of several cities",
    }
    optional_credentials = frozenset({"key", "jurisdiction_id"})
    rate = "10/second"
    submits: ClassVar = dict.fromkeys(("v2", "v2-xml"), Resubmission.AFTER_LOOKUP)

    field_map: ClassVar = {
        "external_id": "service_request_id",
        "token": "token",
        "external_status": "status",
        "agency": "agency_responsible",
        "service_code": "service_code",
        "service_name": "service_name",
        "description": "description",
        "address": "address",
        "postal_code": "zipcode",
        "latitude": "lat",
        "longitude": "long",
        "created_at": "requested_datetime",
        "updated_at": "updated_datetime",
        "expected_at": "expected_datetime",
        "resolution": "status_notes",
        "notice": "service_notice",
    }
    states: ClassVar = {
        "open": State.OPEN,
        **dict.fromkeys(("acknowledged", "in progress", "in_progress"), State.IN_PROGRESS),
        **dict.fromkeys(("closed", "archived"), State.CLOSED),
        "rejected": State.REJECTED,
    }

    async def services(self, *, trace_id: str = "") -> Sequence[Service]:
        """As every 311 system that tells."""
        asked = self._get("services", "services")
        return await self._call(asked, self._services, trace_id=trace_id)

    async def definition(self, service_code: str, *, trace_id: str = "") -> ServiceDefinition:
        """As every 311 system that tells; a service whose ``has_definition`` is not set has none."""
        asked = self._get("definition", f"services/{segment(self._id(service_code))}")
        return await self._call(asked, lambda answer: self._definition(answer, service_code), trace_id=trace_id)

    async def identify(self, token: str, *, trace_id: str = "") -> str | None:
        """As every 311 system with tokens; raises ``NotFound`` for one that is not known."""
        found = await self._ask(self._get("identify", f"tokens/{segment(self._id(token))}"), trace_id)
        if found is None:
            raise NotFound(f"{self.title} knows no such token. Look there for what was filed.")
        return found.external_id

    async def find(
        self, request: NewServiceRequest, *, tried_at: datetime, trace_id: str = ""
    ) -> ServiceRequestDTO | None:
        """As every 311 system with a look-up: by service and time, and our reference in the description."""
        self._needed(request, "service_code")
        seen: set[str | None] = set()
        for page in range(1, MOST_PAGES + 1):
            asked = self._near(request, tried_at, page)
            found = await self._call(asked, self._listing, trace_id=trace_id)
            for each in found:
                if _mark(request) in (each.description or ""):
                    return each.model_copy(update={"reference": request.reference})
            if any(each.description is None for each in found):
                raise self._in_doubt("does not show what was described")
            # Who knows no pages answers the first one again.
            before = len(seen)
            seen.update(each.external_id for each in found)
            if len(seen) == before:
                break
        if len(seen) >= MOST_LISTED or page == MOST_PAGES:
            raise self._in_doubt("has too many requests to list them all")
        kinds = {each.code: each.answering for each in await self.services(trace_id=trace_id)}
        if kinds.get(request.service_code or "") is not Answering.REALTIME:
            raise self._in_doubt("lists requests of this service later, or never")
        return None

    async def test(self) -> None:
        """What can be reported. It asks for no key: only who files needs one."""
        await self.services()

    def _submission(self, request: NewServiceRequest) -> Request:
        self._needed(request, "service_code", *(() if request.point else ("address",)))
        if (over := len(_described(request)) - LONGEST_DESCRIPTION) > 0:
            message = f"{self.title} takes a description that is shorter by {over} characters."
            raise ValidationError(message, details=[{"field": "description", "message": message}])
        form = list(_form(request))
        if jurisdiction := self.endpoint.credentials.get("jurisdiction_id"):
            form.append(("jurisdiction_id", jurisdiction))
        form.append(("api_key", self.credential("key")))
        return Request("submit", "POST", self._path("requests"), form=form, kinds=self._kinds)

    def _inquiry(self, external_id: str) -> Request:
        return self._get("status", f"requests/{segment(external_id)}")

    def _near(self, request: NewServiceRequest, tried_at: datetime, page: int) -> Request:
        query = {
            "service_code": request.service_code or "",
            "start_date": _w3(tried_at - AROUND),
            "end_date": _w3(tried_at + AROUND),
        }
        return self._get("find", "requests", **query, **({"page": str(page)} if page > 1 else {}))

    def _get(self, name: str, what: str, **query: str) -> Request:
        if jurisdiction := self.endpoint.credentials.get("jurisdiction_id"):
            query["jurisdiction_id"] = jurisdiction
        known = frozenset({404})
        return Request(name, "GET", self._path(what), query, kinds=self._kinds, expected=known)

    @property
    def _xml(self) -> bool:
        return self.endpoint.api_version == "v2-xml"

    @property
    def _kinds(self) -> tuple[str, ...]:
        return XML if self._xml else JSON

    def _path(self, what: str) -> str:
        return f"/{what}.{'xml' if self._xml else 'json'}"

    def _rows(self, answer: Response, root: str, item: str) -> list[Any]:
        """What an answer lists; raises what a 404 means."""
        if answer.status == 404:
            raise self._absent(answer) or NotFound(f"{self.title} has nothing there. Check the code or number.")
        if self._xml:
            name, value = parsed_xml(answer.body)
            if name != root:
                raise Unreadable("its answer is another document")
            return listed(value, item)
        found = answer.json()
        if not isinstance(found, list):
            raise Unreadable("its answer is no list")
        return found

    def _unwrapped(self, answer: Response) -> Any:
        found = self._rows(answer, "service_requests", "request")
        if len(found) != 1:
            raise Unreadable("it does not tell of one request")
        return found[0]

    def _listing(self, answer: Response) -> list[ServiceRequestDTO]:
        return [self.normalised(each) for each in self._rows(answer, "service_requests", "request")]

    def _services(self, answer: Response) -> Sequence[Service]:
        rows = self._rows(answer, "services", "service")
        return [_service(_Service.model_validate(each)) for each in rows]

    def _definition(self, answer: Response, service_code: str) -> ServiceDefinition:
        if answer.status == 404:
            raise self._absent(answer) or NotFound(f"{self.title} has no definition of this service.")
        told = parsed_xml(answer.body)[1] if self._xml else answer.json()
        listing = told.get("attributes") if isinstance(told, dict) else None
        rows = listed(listing, "attribute") if self._xml else listing
        attributes = [_attribute(each, xml=self._xml) for each in _list(rows)]
        return ServiceDefinition(
            service_code=service_code, attributes=tuple(sorted(attributes, key=lambda each: each.order))
        )

    def _absent(self, answer: Response) -> LakefrontError | None:
        if b"jurisdiction" in answer.body.lower():
            advice = "An operator has to correct it: upsertIntegration."
            return UpstreamDenied(f"{self.title} does not know the jurisdiction_id. {advice}")
        return None


class _Service(Wire):
    code: str = found_at("service_code")
    name: str | None = found_at("service_name", default=None)
    description: str | None = None
    group: str | None = None
    keywords: str | None = None
    type: str | None = None
    metadata: bool | None = None


class _Attribute(Wire):
    code: str
    description: str | None = None
    datatype: str = "string"
    required: bool | None = None
    variable: bool | None = None
    order: int | None = None


class _Choice(Wire):
    key: str
    name: str | None = None


def _service(told: _Service) -> Service:
    words = (word.strip() for word in (told.keywords or "").split(","))
    kinds = {kind.value: kind for kind in Answering}
    return Service(
        code=told.code,
        name=told.name or told.code,
        description=told.description or None,
        group=told.group or None,
        keywords=tuple(filter(None, words)),
        # What it does not tell is taken for what promises least.
        answering=kinds.get((told.type or "").strip().lower(), Answering.BLACKBOX),
        has_definition=bool(told.metadata),
    )


def _attribute(told: Any, *, xml: bool) -> ServiceAttribute:
    found = _Attribute.model_validate(told)
    values = told.get("values") if isinstance(told, dict) else None
    choices = [_Choice.model_validate(each) for each in _list(listed(values, "value") if xml else values)]
    return ServiceAttribute(
        code=found.code,
        description=found.description or None,
        datatype=found.datatype,
        required=bool(found.required),
        variable=found.variable is not False,
        order=found.order or 0,
        values={each.key: each.name or each.key for each in choices},
    )


def _list(rows: Any) -> list[Any]:
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise Unreadable("a list in it is none")
    return rows


def _form(request: NewServiceRequest) -> Iterator[tuple[str, str]]:
    """The fields of a request."""
    yield "service_code", request.service_code or ""
    yield "description", _described(request)
    if request.point:
        yield "lat", str(request.point.latitude)
        yield "long", str(request.point.longitude)
    place = ", ".join(filter(None, (request.address, request.postal_code)))
    caller = request.caller.model_dump() if request.caller else {}
    for name, value in {"address_string": place, "media_url": request.media_url, **caller}.items():
        if value:
            yield name, value
    for code, values in request.attributes.items():
        for value in values:
            yield f"attribute[{code}]{'[]' if len(values) > 1 else ''}", value


def _described(request: NewServiceRequest) -> str:
    """The description, with the reference, as the standard has no place for it: first, as cities may cut the end off.

    A request whose reference was cut off would not be found, and filed a second time.
    """
    return f"{_mark(request)}\n{request.description}"


def _mark(request: NewServiceRequest) -> str:
    return f"[Reference {request.reference}]"


def _w3(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
