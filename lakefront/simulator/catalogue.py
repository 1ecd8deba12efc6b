"""What people of the made-up city report: agencies, problems, and how such things end."""

from dataclasses import dataclass
from typing import Final

AGENCIES: Final = {
    "DOT": "Department of Transportation",
    "DSNY": "Department of Sanitation",
    "HPD": "Department of Housing Preservation and Development",
    "NYPD": "New York City Police Department",
    "DOHMH": "Department of Health and Mental Hygiene",
    "DEP": "Department of Environmental Protection",
    "DPR": "Department of Parks and Recreation",
    "DOB": "Department of Buildings",
    "DCWP": "Department of Consumer and Worker Protection",
    "TLC": "Taxi and Limousine Commission",
    "DHS": "Department of Homeless Services",
    "DOF": "Department of Finance",
    "DFTA": "Department for the Aging",
    "DOE": "Department of Education",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that can be reported: who sees to it, what it is called, and what is said when it is over."""

    code: str
    agency: str
    name: str
    details: tuple[str, ...]
    group: str
    resolution: str
    place: str = "Street/Sidewalk"


PROBLEMS: Final = (
    Problem(
        "001",
        "DOT",
        "Street Condition",
        ("Pothole", "Cave-in", "Rough, Pitted or Cracked Roads"),
        "street",
        "The Department of Transportation inspected the condition and repaired it.",
        "Street",
    ),
    Problem(
        "002",
        "DSNY",
        "Missed Collection",
        ("Trash", "Recycling", "Compost"),
        "sanitation",
        "The Department of Sanitation investigated this complaint and cleaned the location.",
        "Sidewalk",
    ),
    Problem(
        "003",
        "DOHMH",
        "Rodent",
        ("Rat Sighting", "Mouse Sighting", "Condition Attracting Rodents"),
        "health",
        "The Department of Health and Mental Hygiene inspected the property and exterminated rodents.",
        "3+ Family Apt. Building",
    ),
    Problem(
        "004",
        "HPD",
        "HEAT/HOT WATER",
        ("ENTIRE BUILDING", "APARTMENT ONLY"),
        "housing",
        "The Department of Housing Preservation and Development contacted a tenant: heat and hot water were restored.",
        "RESIDENTIAL BUILDING",
    ),
    Problem(
        "005",
        "NYPD",
        "Noise - Residential",
        ("Loud Music/Party", "Banging/Pounding", "Loud Talking"),
        "noise",
        "The Police Department responded to the complaint and took action to fix the condition.",
        "Residential Building/House",
    ),
    Problem(
        "006",
        "DPR",
        "Damaged Tree",
        ("Branch Cracked and Will Fall", "Entire Tree Has Fallen Down"),
        "parks",
        "The Department of Parks and Recreation inspected the tree and removed the damaged part.",
        "Street",
    ),
    Problem(
        "007",
        "DEP",
        "Water System",
        ("Hydrant Running", "No Water", "Leak"),
        "water",
        "The Department of Environmental Protection found the leak and repaired it.",
        "Street",
    ),
    Problem(
        "008",
        "NYPD",
        "Illegal Parking",
        ("Blocked Hydrant", "Blocked Sidewalk", "Double Parked Blocking Vehicle"),
        "street",
        "The Police Department issued a summons in response to the complaint.",
    ),
)

BY_CODE: Final = {problem.code: problem for problem in PROBLEMS}


def of_descriptor(agency: str, descriptor: str) -> Problem:
    """The problem that an agency and a free text come closest to."""
    words = descriptor.lower()
    named = [p for p in PROBLEMS if any(detail.lower() in words for detail in (p.name, *p.details))]
    return next(
        iter([*(p for p in named if p.agency == agency), *named, *(p for p in PROBLEMS if p.agency == agency)]),
        PROBLEMS[0],
    )
