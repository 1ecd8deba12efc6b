"""Los Angeles' 311: the proof that a city is one file (C7, C16)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from lakefront.adapters.base311 import Base311Adapter
from lakefront.adapters.calls import Request, Response, segment
from lakefront.adapters.dto import Wire, found_at
from lakefront.adapters.service_requests import NewServiceRequest, Resubmission, Service, ServiceRequestDTO, State

_PATH = "/myla311/v1/servicerequests"


class La311(Base311Adapter):
    """It knows our reference: the same request again is answered with what it filed first."""

    provider = "la311"
    title = "MyLA311"
    default_base_url = "https://api.lacity.org"
    api_versions = ("v1",)
    credentials: ClassVar = {"key": "API key"}
    quota_daily = 50_000
    rate = "5/second"
    time_zone = "America/Los_Angeles"
    time_format = "%m/%d/%Y %I:%M:%S %p"
    submits: ClassVar = {"v1": Resubmission.SAFE}

    field_map: ClassVar = {
        "external_id": "SRNumber",
        "external_status": "Status",
        "agency": "Owner",
        "service_code": "RequestType",
        "service_name": "RequestType",
        "address": "Address",
        "latitude": "Latitude",
        "longitude": "Longitude",
        "created_at": "CreatedDate",
        "updated_at": "UpdatedDate",
        "resolution": "ActionTaken",
        "reference": "ExternalReference",
    }
    states: ClassVar = {
        "open": State.OPEN,
        **dict.fromkeys(("pending", "forward", "referred out"), State.IN_PROGRESS),
        "closed": State.CLOSED,
        "cancelled": State.REJECTED,
    }

    async def services(self, *, trace_id: str = "") -> Sequence[Service]:
        """As every 311 system that tells."""
        request = Request("services", "GET", "/myla311/v1/servicetypes", headers=self._key())
        return await self._call(request, _services, trace_id=trace_id)

    async def find(
        self,
        request: NewServiceRequest,
        *,
        tried_at: datetime,  # noqa: ARG002 - a reference is found whenever it was filed
        trace_id: str = "",
    ) -> ServiceRequestDTO | None:
        """As every 311 system with a look-up, by our reference."""
        asked = Request("find", "GET", _PATH, {"ExternalReference": request.reference}, self._key())
        return await self._call(asked, self._first, trace_id=trace_id)

    async def test(self) -> None:
        """What can be reported."""
        await self.services()

    def _submission(self, request: NewServiceRequest) -> Request:
        self._needed(request, "service_code", *(() if request.point else ("address",)))
        caller, point = request.caller, request.point
        told: dict[str, Any] = {
            "RequestType": request.service_code,
            "Comments": request.description,
            "Address": request.address,
            "ZipCode": request.postal_code,
            "Latitude": point and point.latitude,
            "Longitude": point and point.longitude,
            "FirstName": caller and caller.first_name,
            "LastName": caller and caller.last_name,
            "Phone": caller and caller.phone,
            "Email": caller and caller.email,
            "ExternalReference": request.reference,
        }
        body = {name: value for name, value in told.items() if value is not None}
        return Request("submit", "POST", _PATH, headers=self._key(), json=body)

    def _inquiry(self, external_id: str) -> Request:
        return Request("status", "GET", f"{_PATH}/{segment(external_id)}", headers=self._key())

    def _first(self, answer: Response) -> ServiceRequestDTO | None:
        found = answer.model(_Found).requests
        return self.normalised(found[0]) if found else None

    def _key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credential('key')}"}


class _Found(Wire):
    requests: list[Any] = found_at("ServiceRequests")


class _Type(Wire):
    name: str = found_at("RequestType")
    agency: str | None = found_at("Owner", default=None)


class _Types(Wire):
    types: list[_Type] = found_at("ServiceTypes")


def _services(answer: Response) -> Sequence[Service]:
    return [Service(code=each.name, **dict(each)) for each in answer.model(_Types).types]
