"""Places by their addresses and addresses by their places, whoever knows them (C4)."""

from abc import abstractmethod
from collections.abc import Sequence
from enum import StrEnum

from lakefront.adapters.base import Adapter
from lakefront.adapters.dto import Dto, Point
from lakefront.errors import ValidationError


class Precision(StrEnum):
    """How closely a place is known."""

    ADDRESS = "ADDRESS"
    INTERSECTION = "INTERSECTION"
    STREET = "STREET"
    AREA = "AREA"
    """A neighbourhood, postal code, city or more."""


class Place(Dto):
    """An address and where it is. Members that a provider does not tell are None."""

    point: Point
    label: str
    """The address in one line, as the provider writes it."""
    precision: Precision
    house_number: str | None = None
    street: str | None = None
    borough: str | None = None
    """Or another part of the city."""
    borough_code: str | None = None
    """New York's: 1 Manhattan, 2 Bronx, 3 Brooklyn, 4 Queens, 5 Staten Island."""
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country_code: str | None = None
    bbl: str | None = None
    """New York's tax lot: borough, block, lot."""
    bin: str | None = None
    """New York's number of the building."""
    source: str
    """The provider."""


def in_one_line(address: str, *, most: int) -> str:
    """The address without line breaks and needless space; raises ``ValidationError`` if empty or too long."""
    line = " ".join(address.split())
    if not line or len(line) > most:
        message = f"Give an address, of at most {most} characters."
        raise ValidationError(message, details=[{"field": "address", "message": message}])
    return line


class Geocoder(Adapter):
    """An adapter that finds places. All methods raise as ``Calls.call`` does."""

    tells = frozenset({"code", "status", "statusCode", "httpStatus"})

    @abstractmethod
    async def geocode(self, address: str, *, trace_id: str = "") -> Place | None:
        """The best place for ``address``, as somebody wrote it; None where there is none."""


class ReverseGeocoder(Geocoder):
    """One that also knows what is at a point, and many addresses at once."""

    most_at_once: int
    """Addresses that one ``batch`` may have."""

    @abstractmethod
    async def reverse(self, point: Point, *, trace_id: str = "") -> Place | None:
        """The address nearest to ``point``; None where there is none."""

    @abstractmethod
    async def batch(self, addresses: Sequence[str], *, trace_id: str = "") -> list[Place | None]:
        """As ``geocode``, for each address in its order."""
