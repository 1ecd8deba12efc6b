"""Made-up open data in the published columns: 311 service requests, and inspections of restaurants."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any, Final

from lakefront.simulator import catalogue, places

Row = dict[str, Any]

SYSTEM_COLUMNS: Final = (":id", ":version", ":created_at", ":updated_at")

REQUEST_COLUMNS: Final = (
    "unique_key", "created_date", "closed_date", "agency", "agency_name", "complaint_type", "descriptor",
    "location_type", "incident_zip", "incident_address", "street_name", "cross_street_1", "cross_street_2",
    "intersection_street_1", "intersection_street_2", "address_type", "city", "landmark", "facility_type", "status",
    "due_date", "resolution_description", "resolution_action_updated_date", "community_board", "bbl", "borough",
    "x_coordinate_state_plane", "y_coordinate_state_plane", "open_data_channel_type", "park_facility_name",
    "park_borough", "vehicle_type", "taxi_company_borough", "taxi_pick_up_location", "bridge_highway_name",
    "bridge_highway_direction", "road_ramp", "bridge_highway_segment", "latitude", "longitude", "location",
)  # fmt: skip

INSPECTION_COLUMNS: Final = (
    "camis", "dba", "boro", "building", "street", "zipcode", "phone", "cuisine_description", "inspection_date",
    "action", "violation_code", "violation_description", "critical_flag", "score", "grade", "grade_date", "record_date",
    "inspection_type", "latitude", "longitude", "community_board", "council_district", "census_tract", "bin", "bbl",
    "nta", "location",
)  # fmt: skip

BOROUGHS: Final = [area for area in places.AREAS if area.borough_code]
CHANNELS: Final = ("ONLINE", "PHONE", "MOBILE", "UNKNOWN")
CUISINES: Final = ("Pizza", "Chinese", "Caribbean", "Bakery Products/Desserts", "American", "Coffee/Tea", "Indian")
DISHES: Final = ("Bagel", "Noodle", "Dumpling", "Taco", "Pickle", "Waffle", "Curry", "Pancake")
SORTS: Final = ("House", "Corner", "Kitchen", "Palace", "Garden", "Express")
VIOLATIONS: Final = (
    ("04L", "Evidence of mice or live mice in establishment's food or non-food areas.", "Critical"),
    ("08A", "Establishment is not free of harborage or conditions conducive to rodents, insects or other pests.",
     "Not Critical"),
    ("06D", "Food contact surface not properly washed, rinsed and sanitized after each use.", "Critical"),
    ("10F", "Non-food contact surface improperly constructed, or not maintained.", "Not Critical"),
    ("02G", "Cold food item held above 41 degrees F except during necessary preparation.", "Critical"),
)  # fmt: skip


def requests(random: Random, number: int, at: datetime) -> Row:
    """A 311 request that was made at about ``at``; a tenth have no address, a few nothing but their key."""
    problem = random.choice(catalogue.PROBLEMS)
    place = _place(random)
    created = at - timedelta(seconds=random.randint(0, 86_400))
    closed = created + timedelta(hours=random.uniform(1, 200))
    is_closed = closed < at
    known = random.random() > 0.1
    return _row(
        REQUEST_COLUMNS,
        {
            "unique_key": str(60_000_000 + number),
            "created_date": _floating(created),
            "closed_date": _floating(closed) if is_closed else None,
            "agency": problem.agency,
            "agency_name": catalogue.AGENCIES[problem.agency],
            "complaint_type": problem.name,
            "descriptor": random.choice(problem.details),
            "location_type": problem.place,
            "incident_zip": place.zipcode if known else None,
            "incident_address": place.line.upper() if known else None,
            "street_name": place.street.upper() if known else None,
            "address_type": "ADDRESS",
            "city": ("NEW YORK" if place.area.name == "Manhattan" else place.area.borough) if known else None,
            "status": "Closed" if is_closed else random.choice(("Open", "In Progress", "Assigned", "Pending")),
            "resolution_description": problem.resolution if is_closed else None,
            "resolution_action_updated_date": _floating(closed if is_closed else created),
            "community_board": f"{random.randint(1, 18):02d} {place.area.borough}" if known else "0 Unspecified",
            "bbl": _bbl(random, place) if known else None,
            "borough": place.area.borough if known else "Unspecified",
            "open_data_channel_type": random.choice(CHANNELS),
            "park_facility_name": "Unspecified",
            "park_borough": place.area.borough if known else "Unspecified",
            **(_where(place) if known else {}),
        },
    )


def inspections(random: Random, number: int, at: datetime) -> Row:
    """A violation that an inspection found; each restaurant (``camis``) has about three of them."""
    camis, code = 50_000_000 + number // 3, VIOLATIONS[number % len(VIOLATIONS)]
    home = Random(camis)
    place = _place(home)
    score = random.randint(0, 45)
    grade = "A" if score < 14 else "B" if score < 28 else "C"
    day = _floating(datetime(at.year, at.month, at.day, tzinfo=UTC))
    return _row(
        INSPECTION_COLUMNS,
        {
            "camis": str(camis),
            "dba": f"{home.choice(DISHES)} {home.choice(SORTS)} {camis % 997}".upper(),
            "boro": place.area.name,
            "building": place.number,
            "street": place.street.upper(),
            "zipcode": place.zipcode,
            "phone": f"212555{home.randint(100, 199):04d}",
            "cuisine_description": home.choice(CUISINES),
            "inspection_date": day,
            "action": "Violations were cited in the following area(s).",
            "violation_code": code[0],
            "violation_description": code[1],
            "critical_flag": code[2],
            "score": str(score),
            "grade": grade if number % 2 else None,
            "grade_date": day if number % 2 else None,
            "record_date": _floating(at),
            "inspection_type": "Cycle Inspection / Initial Inspection",
            "community_board": f"{place.area.borough_code}{home.randint(1, 18):02d}",
            "council_district": f"{home.randint(1, 51):02d}",
            "bin": f"{place.area.borough_code}{home.randint(0, 999_999):06d}",
            "bbl": _bbl(home, place),
            **_where(place),
        },
    )


DATASETS: Final[Mapping[str, tuple[Callable[[Random, int, datetime], Row], tuple[str, ...]]]] = MappingProxyType(
    {
        "erm2-nwe9": (requests, REQUEST_COLUMNS),
        "76ig-c548": (requests, REQUEST_COLUMNS),
        "43nn-pn8j": (inspections, INSPECTION_COLUMNS),
        "fhrw-4uyv": (inspections, INSPECTION_COLUMNS),
    }
)
"""311 since 2020 and before; food inspections by today's id, and by the one that the integration guide gives."""

ENDS: Final = MappingProxyType({"76ig-c548": datetime(2020, 1, 1, tzinfo=UTC)})
"""Data sets that have not changed since."""


class Dataset:
    """Rows with Socrata's system columns; those that change later get a new ``:updated_at``."""

    def __init__(self, id_: str, *, seed: int, size: int, now: datetime) -> None:
        self._make, columns = DATASETS[id_]
        self.columns = (*SYSTEM_COLUMNS, *columns)
        self._random = Random(f"{seed}/{id_}")
        end = ENDS.get(id_, now)
        self.rows: list[Row] = [
            self._born(number, end - timedelta(minutes=10 * (size - number))) for number in range(size)
        ]

    def change(self, changed: int, added: int, now: datetime) -> None:
        """Change so many rows, spread over all, and add so many, at ``now``."""
        for row in self._random.sample(self.rows, min(changed, len(self.rows))):
            row[":updated_at"], row[":version"] = _fixed(now), self._name("rv")
            if "status" in row:
                row |= {"status": "Closed", "closed_date": _floating(now)}
            else:
                row["record_date"] = _floating(now)
        first = len(self.rows)
        self.rows += [self._born(number, now) for number in range(first, first + added)]

    def _born(self, number: int, at: datetime) -> Row:
        system = {":id": self._name("row"), ":version": self._name("rv"), ":created_at": _fixed(at)}
        return {**system, ":updated_at": _fixed(at), **self._make(self._random, number, at)}

    def _name(self, kind: str) -> str:
        letters = f"{self._random.getrandbits(48):012x}"
        return f"{kind}-{letters[:4]}~{letters[4:8]}.{letters[8:]}"


def _row(columns: tuple[str, ...], values: Mapping[str, Any]) -> Row:
    return {name: values.get(name) for name in columns}


def _place(random: Random) -> places.Place:
    return places.place_at(random.randint(1, 1200), random.choice(places.STREETS), random.choice(BOROUGHS))


def _where(place: places.Place) -> dict[str, Any]:
    north, east = str(place.latitude), str(place.longitude)
    point = {
        "latitude": north,
        "longitude": east,
        "human_address": '{"address": "", "city": "", "state": "", "zip": ""}',
    }
    return {"latitude": north, "longitude": east, "location": point}


def _bbl(random: Random, place: places.Place) -> str:
    return f"{place.area.borough_code}{random.randint(1, 9999):05d}{random.randint(1, 99):04d}"


def _floating(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000")


def _fixed(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
