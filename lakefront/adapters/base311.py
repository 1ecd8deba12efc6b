"""What every 311 system is (C3, C7): a new one says where its API has what, and inherits how it is spoken to."""
# ruff: noqa: ARG002 - what a system may lack is answered here in the same words for all, whatever was asked

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from lakefront.adapters.base import Adapter
from lakefront.adapters.calls import Request, Response, Unreadable
from lakefront.adapters.service_requests import (
    NewServiceRequest,
    Resubmission,
    Service,
    ServiceDefinition,
    ServiceRequestDTO,
    State,
)
from lakefront.errors import LakefrontError, NotConfigured, NotFound, UpstreamUncertain, ValidationError

LONGEST_ID = 200
"""Characters of a city's name for a request."""

_MOMENTS = ("created_at", "updated_at", "expected_at")


class Base311Adapter(Adapter):
    """Files requests and tells where they stand. All methods raise as ``Calls.call`` does.

    A subclass has its ``field_map`` and ``states``, and writes ``_submission`` (unless it files nothing) and
    ``_inquiry``; where answers wrap a request in something, ``_unwrapped``, too.
    """

    city_bound = True
    tells = frozenset({"code", "Code", "status", "statusCode"})

    field_map: ClassVar[Mapping[str, str | Sequence[str]]]
    """Where answers have what: a member of ``ServiceRequestDTO`` (or ``latitude``, ``longitude``) to a path in the
    provider's JSON, ``Address.Borough``; of several the first that there is, as versions differ."""
    states: ClassVar[Mapping[str, State]]
    """The provider's words for where a request stands, in lower case."""
    submits: ClassVar[Mapping[str, Resubmission]] = {}
    """The versions by which requests can be filed, and what may be done when nobody knows whether one was."""
    time_zone: ClassVar[str] = "UTC"
    """Where times without a zone are."""
    time_format: ClassVar[str] = ""
    """How times are written, as ``strptime`` has it; ISO 8601 is known anyway."""
    takes_tests: ClassVar[frozenset[str]] = frozenset()
    """The versions that know requests that are but a test."""

    @property
    def resubmission(self) -> Resubmission | None:
        """What may be done when nobody knows whether a request was filed; None where none can be filed."""
        return self.submits.get(self.endpoint.api_version)

    async def submit(self, request: NewServiceRequest, *, trace_id: str = "") -> ServiceRequestDTO:
        """File ``request``; what is answered may have but a token, or no name at all (Open311).

        Raises ``NotConfigured`` where nothing can be filed, ``ValidationError`` for what the provider needs and is
        not there, and ``UpstreamUncertain`` where it may have been filed: ``resubmission`` says what to do then.
        """
        checked, again = self._checked(request), self.resubmission is Resubmission.SAFE
        told = await self._call(checked, self._told, trace_id=trace_id, idempotent=again)
        return told.model_copy(
            update={
                "state": told.state or State.OPEN,
                "agency": told.agency or request.agency,
                "service_code": told.service_code or request.service_code,
                "reference": request.reference,
            }
        )

    def check(self, request: NewServiceRequest) -> None:
        """Pass if ``submit`` would make its call; raises what it would raise before that."""
        self._checked(request)

    async def status(self, external_id: str, *, trace_id: str = "") -> ServiceRequestDTO:
        """Where the request stands; raises ``NotFound`` where the city does not know it."""
        found = await self._ask(self._inquiry(self._id(external_id)), trace_id)
        if found is None:
            raise NotFound(f"{self.title} knows no request of this number. Look it up there.")
        return found

    async def find(
        self, request: NewServiceRequest, *, tried_at: datetime, trace_id: str = ""
    ) -> ServiceRequestDTO | None:
        """What became of ``request``, which was filed, or not, at ``tried_at``; None where it was not.

        Ask some minutes later: what the city still works on is not there yet, and would be filed a second time.
        Raises ``UpstreamUncertain`` where that cannot be told: then a person has to look.
        """
        raise self._in_doubt("has no look-up")

    async def identify(self, token: str, *, trace_id: str = "") -> str | None:
        """The ``external_id`` that a token has become; None while it has not. ``ValidationError``: no tokens here."""
        raise ValidationError(f"{self.title} gives no tokens.")

    async def services(self, *, trace_id: str = "") -> Sequence[Service]:
        """What can be reported; raises ``NotFound`` where the provider does not tell."""
        raise NotFound(f"{self.title} does not list what can be reported. See its documentation.")

    async def definition(self, service_code: str, *, trace_id: str = "") -> ServiceDefinition:
        """What a service wants to know; raises ``NotFound`` where it wants nothing more."""
        raise NotFound(f"{self.title} has no definitions of services.")

    def _checked(self, request: NewServiceRequest) -> Request:
        if self.resubmission is None:
            raise self._files_nothing()
        if request.test and self.endpoint.api_version not in self.takes_tests:
            raise ValidationError(f"{self.title} knows no tests: this would be filed in earnest. Leave test out.")
        return self._submission(request)

    def _submission(self, request: NewServiceRequest) -> Request:
        """The request that files it."""
        raise self._files_nothing()

    @abstractmethod
    def _inquiry(self, external_id: str) -> Request:
        """The request that asks where it stands."""

    def _unwrapped(self, answer: Response) -> Any:
        """The one service request in an answer."""
        return answer.json()

    def _absent(self, answer: Response) -> LakefrontError | None:
        """What a 404 means; None: there is no such request."""
        return None

    def normalised(self, told: Any) -> ServiceRequestDTO:
        """A request as the provider tells it, by ``field_map``; raises ``Unreadable`` or pydantic's error."""
        if not isinstance(told, dict):
            raise Unreadable("a request in it is none")
        found = {name: _at(told, paths) for name, paths in self.field_map.items()}
        found |= {name: self._moment(found.get(name)) for name in _MOMENTS}
        latitude, longitude = found.pop("latitude", None), found.pop("longitude", None)
        if latitude is not None and longitude is not None:
            found["point"] = {"latitude": latitude, "longitude": longitude}
        status = found.get("external_status")
        state = self.states.get(status.strip().lower()) if isinstance(status, str) else None
        return ServiceRequestDTO(**found, state=state, source=self.provider)

    async def _ask(self, request: Request, trace_id: str) -> ServiceRequestDTO | None:
        """The request that is asked for; None where there is none."""
        asked = replace(request, expected=request.expected | {404})
        return await self._call(asked, self._told_or_absent, trace_id=trace_id)

    def _told_or_absent(self, answer: Response) -> ServiceRequestDTO | None:
        if answer.status != 404:
            return self._told(answer)
        if (meant := self._absent(answer)) is not None:
            raise meant
        return None

    def _told(self, answer: Response) -> ServiceRequestDTO:
        found = self.normalised(self._unwrapped(answer))
        if found.external_id is None and "token" not in self.field_map:
            raise Unreadable("it does not name the request")
        return found

    def _moment(self, text: Any) -> datetime | None:
        if text is None:
            return None
        try:
            at = self._parsed(str(text))
            return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(self.time_zone))).astimezone(UTC)
        except (ValueError, OverflowError):
            raise Unreadable("a time in it is none") from None

    def _parsed(self, text: str) -> datetime:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            if not self.time_format:
                raise
            return datetime.strptime(text, self.time_format)  # noqa: DTZ007 - the zone is the city's, see above

    def _needed(self, request: NewServiceRequest, *names: str) -> None:
        """Raise ``ValidationError`` unless ``request`` has all of these."""
        lacking = [name for name in names if getattr(request, name) is None]
        if lacking:
            message = f"{self.title} needs {', '.join(lacking)}: give it."
            raise ValidationError(message, details=[{"field": name, "message": message} for name in lacking])

    def _id(self, text: str) -> str:
        if not text.strip() or len(text) > LONGEST_ID:
            raise ValidationError(f"Give the number of a request at {self.title}, of at most {LONGEST_ID} characters.")
        return text

    def _in_doubt(self, why: str) -> UpstreamUncertain:
        return UpstreamUncertain(
            f"{self.title} {why}: whether the request was filed cannot be told. Look there before you send it again.",
            details=[{"provider": self.provider, "city": self.endpoint.city}],
        )

    def _files_nothing(self) -> NotConfigured:
        """Says which versions would do."""
        other = f"set its api_version to {' or '.join(self.submits)}, or " if self.submits else ""
        return NotConfigured(
            f"{self.title} tells by its version {self.endpoint.api_version} where requests stand, and takes none. "
            f"An operator has to {other}set up open311 for this city: upsertIntegration."
        )


def _at(told: Any, paths: str | Sequence[str]) -> Any:
    """What is at the first of ``paths`` where there is something; numbers as text, as the DTO has them."""
    for path in (paths,) if isinstance(paths, str) else paths:
        found = told
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str):
            # PostgreSQL keeps no NUL.
            found = found.replace("\0", "").strip()
        if found is not None and found != "":
            return str(found) if isinstance(found, int | float) and not isinstance(found, bool) else found
    return None
