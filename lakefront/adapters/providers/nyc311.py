"""New York's 311 (C3): today's public API, which tells where requests stand, and the one of the guide, which files."""

from typing import Any, ClassVar

from lakefront.adapters.base311 import Base311Adapter
from lakefront.adapters.calls import Request, Response, segment
from lakefront.adapters.service_requests import NewServiceRequest, Resubmission, State
from lakefront.errors import LakefrontError, UpstreamDenied


class Nyc311(Base311Adapter):
    """``public`` has a request's status alone. ``v1`` files, with neither idempotency nor a look-up."""

    provider = "nyc311"
    title = "NYC 311"
    default_base_url = "https://api.nyc.gov"
    api_versions = ("public", "v1")
    credentials: ClassVar = {"key": "subscription key (v1: X-Api-Key)"}
    quota_daily = 100_000
    rate = "10/second"
    time_zone = "America/New_York"
    submits: ClassVar = {"v1": Resubmission.NEVER}
    takes_tests = frozenset({"v1"})

    field_map: ClassVar = {
        "external_id": ("SRNumber", "trackingNumber"),
        "external_status": ("Status", "status"),
        "agency": ("Agency", "agencyCode"),
        "service_name": "Problem",
        "description": ("ProblemDetails", "descriptor"),
        "address": ("Address.FullAddress", "incidentAddress"),
        "borough": "Address.Borough",
        "created_at": ("DateTimeSubmitted", "createdDate"),
        "updated_at": ("ResolutionActionUpdatedDate", "updatedDate"),
        "resolution": ("ResolutionAction", "resolutionDescription"),
    }
    states: ClassVar = {
        **dict.fromkeys(("open", "unassigned", "614110001"), State.OPEN),
        **dict.fromkeys(("in progress", "assigned", "started", "pending", "614110002"), State.IN_PROGRESS),
        **dict.fromkeys(("closed", "614110003"), State.CLOSED),
        **dict.fromkeys(("cancelled", "cancel", "614110000"), State.REJECTED),
    }

    async def test(self) -> None:
        """Whether its key may ask for a request that there is not."""
        await self._ask(self._inquiry("311-00000000"), "")

    def _submission(self, request: NewServiceRequest) -> Request:
        self._needed(request, "address", "agency")
        body: dict[str, Any] = {
            "incidentAddress": request.address,
            "descriptor": request.description,
            "agencyCode": request.agency,
        }
        if request.postal_code:
            body["incidentZip"] = request.postal_code
        if request.point:
            body |= request.point.model_dump()
        if caller := request.caller:
            told = {"firstName": caller.first_name, "lastName": caller.last_name, "phone": caller.phone}
            body["caller"] = {name: value for name, value in told.items() if value}
        query = {"test": "true"} if request.test else {}
        return Request("submit", "POST", "/311/v1/service-requests", query, self._key(), json=body)

    def _inquiry(self, external_id: str) -> Request:
        if self.endpoint.api_version == "v1":
            return Request("status", "GET", f"/311/v1/service-requests/{segment(external_id)}", {}, self._key())
        return Request("status", "GET", "/public/api/GetServiceRequest", {"srnumber": external_id}, self._key())

    def _absent(self, answer: Response) -> LakefrontError | None:
        # The gateway in front of it has a form of its own: it knows no such path.
        told = answer.json()
        if isinstance(told, dict) and "statusCode" in told:
            return UpstreamDenied(f"{self.title} has no such API there. An operator has to correct its base URL.")
        return None

    def _key(self) -> dict[str, str]:
        name = "X-Api-Key" if self.endpoint.api_version == "v1" else "Ocp-Apim-Subscription-Key"
        return {name: self.credential("key")}
