"""The made-up map: every address has a place, the same each time, and every place an address.

Streets run from west to east, each on a latitude of its own; numbers grow to the east. So a geocode is a formula, and a
reverse geocode its inverse: nothing is looked up, and nobody lives there.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

STREET_STEP: Final = 0.003
"""Degrees of latitude between two streets: some 330 m."""

NUMBER_STEP: Final = 0.00002
"""Degrees of longitude between two numbers: some 1.7 m."""

_ADDRESS: Final = re.compile(r"\s*(\d{1,5})(?:-\d{1,5})?\s+([^,]*[A-Za-z][^,]*?)\s*(?:,(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Area:
    """A borough or city: its south-western corner, and what people call it."""

    name: str
    city: str
    state: str
    zips: tuple[str, ...]
    latitude: float
    longitude: float
    names: tuple[str, ...]
    borough_code: str = ""

    @property
    def borough(self) -> str:
        """``MANHATTAN``, as the city writes it; ``""`` outside New York."""
        return self.name.upper() if self.borough_code else ""


AREAS: Final = (
    Area("Manhattan", "New York", "NY", ("100", "101", "102"), 40.7080, -74.0100, ("manhattan",), "1"),
    Area("Bronx", "New York", "NY", ("104",), 40.8200, -73.9200, ("bronx",), "2"),
    Area("Brooklyn", "New York", "NY", ("112",), 40.6400, -73.9900, ("brooklyn",), "3"),
    Area("Queens", "New York", "NY", ("111", "113", "114", "116"), 40.7100, -73.8700, ("queens",), "4"),
    Area("Staten Island", "New York", "NY", ("103",), 40.5700, -74.1700, ("staten island",), "5"),
    Area("Boston", "Boston", "MA", ("021", "022"), 42.3300, -71.1000, ("boston",)),
    Area("Los Angeles", "Los Angeles", "CA", ("900", "901"), 34.0300, -118.3000, ("los angeles",)),
    Area("San Francisco", "San Francisco", "CA", ("941",), 37.7400, -122.4500, ("san francisco",)),
)

STREETS: Final = (
    "Broadway", "Main Street", "Park Avenue", "Oak Street", "Harbor Road", "Mill Lane", "Court Street", "Grand Avenue",
    "River Street", "Church Street", "Market Street", "Mission Street", "Ocean Avenue", "Hill Street", "Spring Street",
    "Union Street",
)  # fmt: skip

NUMBERS: Final = 2500
"""House numbers of a street, from one end of its area to the other; greater ones begin anew."""

HEIGHT: Final = len(STREETS) * STREET_STEP
WIDTH: Final = NUMBERS * NUMBER_STEP

FAR: Final = 0.25
"""Degrees from the middle of an area beyond which nobody has an address."""

_SHORT: Final = {
    "st": "street", "ave": "avenue", "av": "avenue", "rd": "road", "ln": "lane", "blvd": "boulevard", "pl": "place",
    "e": "east", "w": "west", "n": "north", "s": "south",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """An address and where it is, in degrees (WGS 84)."""

    number: str
    street: str
    area: Area
    zipcode: str
    latitude: float
    longitude: float

    @property
    def line(self) -> str:
        """``123 Broadway``."""
        return f"{self.number} {self.street}"

    @property
    def full(self) -> str:
        """``123 Broadway, New York, New York 10007, United States`` without the country: as people write it."""
        return f"{self.line}, {self.area.city}, {self.area.state} {self.zipcode}"


def find(text: str, default: str = "Manhattan") -> Place | None:
    """The place of an address; ``None`` where there is no number and street, or the street is called Nowhere.

    Without a borough, city or ZIP code it is in ``default``.
    """
    matched = _ADDRESS.fullmatch(text)
    if matched is None or "nowhere" in text.lower():
        return None
    number, words, rest = matched[1], matched[2], (matched[3] or "").lower()
    street = " ".join(_SHORT.get(word.strip(".").lower(), word.lower()) for word in words.split()).title()
    for area in AREAS:
        for name in area.names:
            if not rest and street.lower().endswith(f" {name}"):
                street, rest = street[: -len(name) - 1], name
    return place_at(int(number), street, _area(rest, default))


def place_at(number: int, street: str, area: Area) -> Place:
    """The place of a number of a street of an area, its name as ``find`` writes it."""
    lane = _lane(street)
    return Place(
        str(number),
        street,
        area,
        _zip(area, lane),
        round(area.latitude + lane * STREET_STEP, 6),
        round(area.longitude + number % NUMBERS * NUMBER_STEP, 6),
    )


def nearest(latitude: float, longitude: float) -> Place | None:
    """The address that is nearest; ``None`` more than some 20 km away from every area."""
    middles = {area: (area.latitude + HEIGHT / 2, area.longitude + WIDTH / 2) for area in AREAS}
    area = min(AREAS, key=lambda each: (middles[each][0] - latitude) ** 2 + (middles[each][1] - longitude) ** 2)
    if max(abs(middles[area][0] - latitude), abs(middles[area][1] - longitude)) > FAR:
        return None
    lane = min(max(round((latitude - area.latitude) / STREET_STEP), 0), len(STREETS) - 1)
    number = max(round((longitude - area.longitude) / NUMBER_STEP), 1)
    return place_at(number, STREETS[lane], area)


def _area(rest: str, default: str) -> Area:
    zipcode = re.search(r"\b(\d{3})\d{2}\b", rest)
    for area in AREAS:
        if any(name in rest for name in area.names) or (zipcode and zipcode[1] in area.zips):
            return area
    return next(area for area in AREAS if area.name == default)


def _lane(street: str) -> int:
    if street in STREETS:
        return STREETS.index(street)
    return blake2b(street.lower().encode(), digest_size=2).digest()[0] % len(STREETS)


def _zip(area: Area, lane: int) -> str:
    return f"{area.zips[lane % len(area.zips)]}{lane + 1:02d}"
