"""What is given to submit a service request, or to change one; what is personal of it has no text form."""

from datetime import datetime
from typing import Any

import strawberry
from strawberry import UNSET

from lakefront.domain import service_requests as domain
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.fields import given
from lakefront.graphql.outside import PointInput
from lakefront.graphql.scalars import BigInt
from lakefront.graphql.service_requests.enums import State


def _untold(self: object) -> str:
    """Whatever tells of it by accident: not what it holds."""
    return f"{type(self).__name__}(…)"


def _text(description: str) -> Any:
    return strawberry.field(description=description, default=UNSET)


@strawberry.input(description="Who reports a service request: told to the city, and kept here until it knows.")
class ServiceRequestCallerInput:
    """Who reports."""

    first_name: str | None = _text("The first name.")
    last_name: str | None = _text("The last name.")
    phone: str | None = _text("A telephone number.")
    email: str | None = _text("An address for electronic mail.")

    __repr__ = _untold

    def caller(self) -> domain.CallerInput:
        """The domain's."""
        return domain.CallerInput(given(self.first_name), given(self.last_name), given(self.phone), given(self.email))


@strawberry.input(description="Something that a city's service wants to know beyond the usual.")
class ServiceRequestAttributeInput:
    """An attribute of the service."""

    code: str = strawberry.field(description="The attribute's code, as the city's definition of the service has it.")
    values: list[str] = strawberry.field(description="What is said to it: one text, or several where it takes them.")

    __repr__ = _untold


@strawberry.input(description="A service request as it is reported. Cities need different parts of it, and say which.")
class SubmitServiceRequestInput:
    """A request to submit."""

    city: strawberry.ID = strawberry.field(description="The city, by its slug: one of cities.")
    description: str = strawberry.field(description="What there is to see to, in the reporter's words.")
    provider: strawberry.ID | None = _text("Which of the city's 311 systems; left out: the one that takes requests.")
    service_code: str | None = _text("What it is about, as a code of the city's.")
    agency: str | None = _text("Who is to see to it, as a code of the city's.")
    complaint_type: str | None = _text("What it is about.")
    descriptor: str | None = _text("What it is about, more closely.")
    location_type: str | None = _text("What kind of place it is about.")
    address: str | None = _text("The address.")
    postal_code: str | None = _text("The postal code.")
    borough: str | None = _text("The borough.")
    point: PointInput | None = _text("Where it is.")
    caller: ServiceRequestCallerInput | None = _text("Who reports it.")
    attributes: list[ServiceRequestAttributeInput] | None = _text("What else the city's service wants to know.")
    media_url: str | None = _text("A picture of it.")
    channel: str | None = _text("How it was reported: ONLINE, PHONE, MOBILE, …")
    test: bool | None = _text("To try it out: nobody is to see to it.")
    notify: bool | None = _text(
        "Tell the caller how it goes on: their mail address and telephone, one of which is needed, are kept until it "
        "has ended, for a year at most. Left out: they are deleted as soon as the city has the request."
    )

    __repr__ = _untold

    def request(self) -> domain.SubmitInput:
        """The domain's; raises ``ValidationError`` for a point that is not on earth, or an attribute named twice."""
        caller, attributes, point = given(self.caller), given(self.attributes) or [], given(self.point)
        where = point.point() if point is not None else None
        if len({each.code for each in attributes}) < len(attributes):
            raise refused("input.attributes", "Name each code once, with all of its values.")
        return domain.SubmitInput(
            city=str(self.city),
            description=self.description,
            provider=given(self.provider),
            service_code=given(self.service_code),
            agency=given(self.agency),
            complaint_type=given(self.complaint_type),
            descriptor=given(self.descriptor),
            location_type=given(self.location_type),
            address=given(self.address),
            postal_code=given(self.postal_code),
            borough=given(self.borough),
            latitude=where.latitude if where is not None else None,
            longitude=where.longitude if where is not None else None,
            caller=caller.caller() if caller is not None else None,
            attributes={each.code: tuple(each.values) for each in attributes},
            media_url=given(self.media_url),
            channel=given(self.channel),
            test=bool(given(self.test)),
            notify=bool(given(self.notify)),
        )


@strawberry.input(description="What is to change of a service request; what is left out stays as it is.")
class UpdateServiceRequestInput:
    """A change."""

    request_id: strawberry.ID = strawberry.field(description="Which request.")
    version: BigInt | None = _text("The version that you read: another by now is a conflict. Left out: whichever.")
    state: State | None = _text("Where it stands.")
    description: str | None = _text("What was reported.")
    agency: str | None = _text("Who sees to it, as a code; null: nobody is known.")
    agency_name: str | None = _text("Who sees to it.")
    complaint_type: str | None = _text("What it is about.")
    descriptor: str | None = _text("What it is about, more closely.")
    borough: str | None = _text("The borough.")
    resolution: str | None = _text("What was done about it.")
    expected_at: datetime | None = _text("When the city expects to be done with it.")
    external_id: str | None = _text("The city's number of an uncertain request that was found there: it is open then.")

    __repr__ = _untold

    def change(self) -> domain.UpdateInput:
        """The domain's; raises ``ValidationError`` for a null where there must be a value."""
        for name, value in (
            *(("state", self.state), ("description", self.description), ("externalId", self.external_id)),
        ):
            if value is None:
                raise refused(f"input.{name}", "It cannot be null. Give a value, or leave it out.")
        told: dict[str, Any] = {
            name: value for name in domain.UpdateInput.__struct_fields__ if (value := getattr(self, name)) is not UNSET
        }
        return domain.UpdateInput(**told)
