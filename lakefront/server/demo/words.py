"""The vocabulary of the made-up permits: streets and works are invented, the neighborhoods are San Francisco's."""

from typing import Final, NamedTuple


class Neighborhood(NamedTuple):
    """A neighborhood with its rough middle, in degrees."""

    name: str
    zipcode: str
    district: int
    longitude: float
    latitude: float


NEIGHBORHOODS: Final = (
    Neighborhood("Mission", "94110", 9, -122.4148, 37.7599),
    Neighborhood("Financial District/South Beach", "94105", 6, -122.3960, 37.7890),
    Neighborhood("South of Market", "94103", 6, -122.4070, 37.7770),
    Neighborhood("Marina", "94123", 2, -122.4370, 37.8010),
    Neighborhood("Chinatown", "94108", 3, -122.4070, 37.7950),
    Neighborhood("Sunset/Parkside", "94116", 4, -122.4940, 37.7480),
    Neighborhood("Outer Richmond", "94121", 1, -122.4930, 37.7780),
    Neighborhood("Noe Valley", "94114", 8, -122.4330, 37.7500),
    Neighborhood("Castro/Upper Market", "94114", 8, -122.4370, 37.7620),
    Neighborhood("Bayview Hunters Point", "94124", 10, -122.3880, 37.7320),
    Neighborhood("Bernal Heights", "94110", 9, -122.4150, 37.7400),
    Neighborhood("Hayes Valley", "94102", 5, -122.4270, 37.7750),
    Neighborhood("Nob Hill", "94109", 3, -122.4150, 37.7930),
    Neighborhood("Excelsior", "94112", 11, -122.4270, 37.7220),
    Neighborhood("West of Twin Peaks", "94127", 7, -122.4610, 37.7370),
)

STREETS: Final = (
    *(("Marigold", "St"), ("Foghorn", "St"), ("Lantern", "Av"), ("Driftwood", "Wy"), ("Cable Hill", "St")),
    *(("Pelican", "Av"), ("Saltmarsh", "Bl"), ("Old Ferry", "St"), ("Juniper Steps", ""), ("Tidewater", "Pz")),
    *(("Goldenrod", "St"), ("Harborlight", "Av"), ("Sandpiper", "St"), ("Windmill", "Wy"), ("Eucalyptus Row", "")),
)

TYPES: Final = (
    ("8", "otc alterations permit"),
    ("3", "additions alterations or repairs"),
    ("4", "sign - erect"),
    ("7", "wall or painted sign"),
    ("2", "new construction wood frame"),
)

WORKS: Final = (
    "reroofing, no work at the parapet",
    "remodel kitchen & one bath in kind at {floor}/f; replace fixtures and cabinets, no structural work",
    "soft story retrofit, engineering criteria per the existing building code; seal the garage level",
    "t.i. at {floor}/f: new partitions, ceiling, lights & finishes. fire alarm under separate permit",
    "replace (8) windows at the front in kind, wood, same size and operation",
    "repair dry rot at the rear stair and deck, less than 50%, in kind",
    "to legalize one bedroom and a full bath at the ground floor, no change to the envelope",
    "install (12) solar panels on the roof, flush mounted",
    "revision to the approved plans: relocate one door at {floor}/f",
    "erect one electric double faced projecting sign",
    "accessibility: adjust door pressure and signs at the main entrance; na for the soil ordinance",
    "comply with a notice of violation: guardrail at {floor}/f, restore to last legal use",
)

FIRE_WORKS: Final = (
    "fire alarm at {floor}/f: add (4) strobes and (2) detectors, one power supply",
    "relocate (14) sprinkler heads at {floor}/f for the new ceiling",
    "kitchen hood fire suppression system, one hood",
)

USES: Final = (
    ("1 family dwelling", "R-3", 1),
    ("2 family dwelling", "R-3", 2),
    ("apartments", "R-2", 48),
    ("office", "B", 0),
    ("retail sales", "M", 0),
    ("food/beverage hndlng", "A-2", 0),
)

CONSTRUCTION: Final = (("5", "wood frame (5)"), ("5", "wood frame (5)"), ("3", "constr type 3"), ("1", "constr type 1"))

INSPECTORS: Final = ("A. Okafor", "B. Lindqvist", "C. Marchetti", "D. Nakamura", "E. Delgado", "F. Haddad")

INSPECTIONS: Final = ("rough framing", "electrical rough-in", "plumbing", "foundation", "fire alarm", "final")

RESULTS: Final = (
    ("passed", "as drawn"),
    ("passed", "no remarks"),
    ("passed", "small correction made on site"),
    ("failed", "not ready; call again"),
    ("failed", "differs from the approved plans"),
)

REASONS: Final = {
    "approved": "all stations signed off",
    "withdrawn": "at the applicant's request",
    "suspend": "complaint under review",
    "reinstated": "complaint closed",
}
