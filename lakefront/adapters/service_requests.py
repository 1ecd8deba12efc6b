"""What people report to a city, whichever way that city takes it (C3)."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field

from lakefront.adapters.dto import Dto, Moment, Point

Text = Annotated[str, Field(max_length=16_384)]
Code = Annotated[str, Field(min_length=1, max_length=200)]

_NAMES: Final = ("reference", "external_id", "token", "external_status", "state", "source")


class State(StrEnum):
    """Where a request stands, as we tell it; the city's own word is beside it."""

    OPEN = "OPEN"
    IN_PROGRESS = "IN_PROGRESS"
    CLOSED = "CLOSED"
    REJECTED = "REJECTED"
    """The city will not do it: cancelled, a duplicate, not its own."""


class Resubmission(StrEnum):
    """What may be done when nobody knows whether a request was filed."""

    SAFE = "SAFE"
    """File it again: the city knows our reference, and files nothing twice."""
    AFTER_LOOKUP = "AFTER_LOOKUP"
    """Look whether it is there (``find``), and file it again if not."""
    NEVER = "NEVER"
    """A person has to look."""


class _Personal(Dto):
    """Holds personal data: its repr shows names alone that are ours or the city's, as reprs may be logged."""

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Those of its members that are no one's."""
        yield from ((name, value) for name in _NAMES if (value := getattr(self, name, None)) is not None)


class Caller(_Personal):
    """Who reports; cities may want to ask back."""

    first_name: Code | None = None
    last_name: Code | None = None
    phone: Code | None = None
    email: Code | None = None


class NewServiceRequest(_Personal):
    """What is to be filed. Providers need different parts of it, and say so."""

    reference: Annotated[str, Field(min_length=1, max_length=100)]
    """Ours: the same for each try to file the same request."""
    description: Annotated[str, Field(min_length=1, max_length=4000)]
    service_code: Code | None = None
    """What it is about, as the provider names it: one of ``services``."""
    agency: Code | None = None
    """Who is to see to it, as the provider names it."""
    address: Code | None = None
    postal_code: Code | None = None
    point: Point | None = None
    caller: Caller | None = None
    attributes: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """What the service wants to know beyond that, by the codes of its ``definition``."""
    media_url: Annotated[str, Field(max_length=2000)] | None = None
    test: bool = False
    """To try it out: nobody is to see to it."""


class ServiceRequestDTO(_Personal):
    """A request as a city has it. Members that it does not tell are None."""

    external_id: Code | None = None
    """The city's name for it; None while there is but a ``token``, and where it gives neither."""
    token: Code | None = None
    """What becomes an ``external_id`` later: ``Base311Adapter.identify``."""
    external_status: Code | None = None
    """The city's word for where it stands."""
    state: State | None = None
    """What that means; None where it is a word that we do not know: then it stands where it stood."""
    agency: Code | None = None
    service_code: Code | None = None
    service_name: Code | None = None
    description: Text | None = None
    address: Text | None = None
    borough: Code | None = None
    postal_code: Code | None = None
    point: Point | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
    expected_at: Moment | None = None
    """By when the city means to be done."""
    resolution: Text | None = None
    """What the city says about how it stands or ended."""
    notice: Text | None = None
    """What it told whoever filed it."""
    reference: str | None = None
    """Ours, where the city keeps it, or where we just filed it."""
    source: str
    """The provider."""


class Answering(StrEnum):
    """When a city names a request of a service (GeoReport v2)."""

    REALTIME = "realtime"
    """At once."""
    BATCH = "batch"
    """Later, by a token."""
    BLACKBOX = "blackbox"
    """Never."""


class Service(Dto):
    """What can be reported."""

    code: Code
    name: Code
    description: Text | None = None
    group: Code | None = None
    keywords: tuple[str, ...] = ()
    agency: Code | None = None
    answering: Answering = Answering.REALTIME
    has_definition: bool = False
    """Whether it wants to know more: its ``definition``."""


class ServiceAttribute(Dto):
    """One thing more that a service wants to know, or (not ``variable``) tells."""

    code: Code
    description: Text | None = None
    datatype: Code
    """``string, number, datetime, text, singlevaluelist, multivaluelist``."""
    required: bool = False
    variable: bool = True
    order: int = 0
    values: Mapping[str, str] = {}
    """Of lists: key to what it is called."""


class ServiceDefinition(Dto):
    """What a service wants to know, in the order in which people are asked."""

    service_code: Code
    attributes: tuple[ServiceAttribute, ...]
