"""Made-up building permits: rows in the city's published form, turned into events by the loader's own code.

The first set is the same on every start, so that a second one adds only duplicates. What happens live has new ids.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, Final, NamedTuple
from uuid import uuid4

import orjson

from lakefront.actor import system_actor
from lakefront.domain import permits
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError
from lakefront.server.demo import words
from lakefront.server.load.cells import ZONE
from lakefront.server.load.permits import Event, row_events

PERMITS: Final = 300
SEED: Final = 1906

FIRST_DAY: Final = date(2022, 1, 3)
DAYS: Final = 600
"""When the made-up permits were filed: fixed, for the ids depend on it; all they do is over by the end of 2024."""

MOST_ALIVE: Final = 200
"""Permits that are followed live at a time; the oldest are let go."""

Cells = dict[str, str]
_log = logging.getLogger(__name__)

Send = Callable[[list[Event]], Awaitable[object]]


def initial_events(permits: int = PERMITS) -> list[Event]:
    """Return the events of the made-up past, permit by permit; the same on every call."""
    random = Random(SEED)  # noqa: S311 - made-up data
    rows = [cells for number in range(permits) for cells in _past(random, number)]
    # By id, since the addresses of one permit share all events but the filing.
    return list({event["eventId"]: event for cells in rows for event in row_events(cells)[0]}.values())


async def trickle(send: Send, *, pause: float = 1.0, random: Random | None = None) -> None:
    """Send a live event about every ``pause`` seconds, for ever; ``send`` returns once it was taken in."""
    city = City(random or Random())  # noqa: S311 - made-up data
    while True:
        await asyncio.sleep(pause * city.random.uniform(0.5, 1.5))
        await send([city.next_event(datetime.now(UTC))])


async def run(services: Services) -> None:
    """Load the made-up past, then let live events trickle; an outage is waited out."""
    actor = system_actor()

    async def send(events: list[Event]) -> None:
        while True:
            try:
                await permits.ingest(services, actor, [orjson.dumps(event) for event in events])
            except LakefrontError as away:
                _log.info("the demo waits: %s", away.message)
                await asyncio.sleep(away.retry_after or 1)
            else:
                return

    await send(initial_events())
    await trickle(send)


class Step(NamedTuple):
    """What may happen to a live permit at a stage: the event, the stage after it, how likely."""

    event_type: str
    after: str
    weight: int


STEPS: Final[dict[str, tuple[Step, ...]]] = {
    "filed": (
        Step("status_change", "approved", 6),
        Step("permit_issued", "issued", 5),
        Step("status_change", "withdrawn", 1),
        Step("permit_cancelled", "", 1),
    ),
    "approved": (Step("permit_issued", "issued", 1),),
    "issued": (Step("inspector_assignment", "assigned", 8), Step("status_change", "suspend", 1)),
    "suspend": (Step("status_change", "reinstated", 1),),
    "reinstated": (Step("inspector_assignment", "assigned", 1),),
    "assigned": (Step("inspection_scheduled", "scheduled", 1),),
    "scheduled": (Step("inspection_completed", "inspected", 1),),
    "inspected": (Step("permit_completed", "", 3), Step("inspection_scheduled", "scheduled", 1)),
}
"""A live permit's way, from its filing to its end (``""``); "withdrawn" ends it too, as nothing comes after it."""


class _Live:
    """A permit that was filed in this run."""

    def __init__(self, permit_id: str) -> None:
        self.permit_id = permit_id
        self.stage = self.status = "filed"
        self.inspector = self.inspection = ""


class City:
    """What happens now: permits are filed, and those that this run filed go on their way."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._alive: deque[_Live] = deque(maxlen=MOST_ALIVE)

    def next_event(self, now: datetime) -> Event:
        """Return the next event, at ``now``."""
        if len(self._alive) < 5 or self.random.random() < 0.2:
            return self._filing(now)
        permit = self.random.choice(self._alive)
        steps = STEPS[permit.stage]
        step = self.random.choices(steps, [step.weight for step in steps])[0]
        data = self._data(permit, step, now)
        permit.stage = step.after
        if step.after not in STEPS:
            self._alive.remove(permit)
        return _event(permit.permit_id, step.event_type, now, data)

    def _filing(self, now: datetime) -> Event:
        local = now.astimezone(ZONE)
        permit_id = f"D{local:%Y%m%d}{uuid4().hex[:8]}"
        cells = _described(self.random, permit_id) | _address(self.random, permit_id, 0)
        cells |= {
            "Permit Creation Date": _day(local),
            "Filed Date": _time(local),
            "Last Permit Activity Date": _time(local),
        }
        cells |= {"Current Status": "filed", "Current Status Date": _time(local)}
        [filed], _ = row_events(cells)
        self._alive.append(_Live(permit_id))
        return filed

    def _data(self, permit: _Live, step: Step, now: datetime) -> dict[str, Any]:
        match step.event_type:
            case "status_change":
                before, permit.status = permit.status, step.after
                reason = words.REASONS[step.after]
                return {"previousStatus": before, "newStatus": step.after, "changedBy": "plan review", "reason": reason}
            case "permit_issued":
                permit.status = "issued"
                return {"issuedAt": _utc(now)}
            case "permit_completed":
                return {"completedAt": _utc(now)}
            case "permit_cancelled":
                return {}
            case _:
                return self._inspection(permit, step.event_type, now)

    def _inspection(self, permit: _Live, event_type: str, now: datetime) -> dict[str, Any]:
        if event_type == "inspector_assignment":
            permit.inspector = self.random.choice(words.INSPECTORS)
            permit.inspection = self.random.choice(words.INSPECTIONS)
            return {"inspector": permit.inspector, "inspectionType": permit.inspection, "assignedBy": "dispatch"}
        same = {"inspectionType": permit.inspection, "inspector": permit.inspector}
        if event_type == "inspection_scheduled":
            day = (now + timedelta(days=self.random.randint(1, 21))).astimezone(ZONE).date()
            return same | {"scheduledFor": _utc(datetime.combine(day, time(self.random.randint(8, 15)), ZONE))}
        result, notes = self.random.choice(words.RESULTS)
        return same | {"result": result, "notes": notes}


def _event(permit_id: str, event_type: str, now: datetime, data: dict[str, Any]) -> Event:
    return {
        "eventId": f"demo-{uuid4()}",
        "permitId": permit_id,
        "eventType": event_type,
        "timestamp": _utc(now),
        "eventData": data,
    }


def _past(random: Random, number: int) -> list[Cells]:
    """Return the published rows of one permit, an address each."""
    day = FIRST_DAY + timedelta(days=random.randrange(DAYS))
    permit_id = f"D{day:%Y%m%d}{number:04}"
    filed = datetime.combine(day, time(random.randint(8, 16), random.randint(0, 59), random.randint(0, 59)))
    issued = filed + timedelta(days=random.choice((0, 0, 0, 1, 3, 9, 40)), minutes=random.randint(5, 200))
    completed = issued + timedelta(days=random.randint(3, 300), minutes=random.randint(0, 300))
    status, at = random.choices(
        [
            *(("complete", completed), ("issued", issued), ("filed", filed), ("withdrawn", issued)),
            *(("cancelled", issued), ("expired", issued + timedelta(days=360)), ("suspend", completed)),
        ],
        (60, 22, 7, 4, 3, 3, 1),
    )[0]
    cells = _described(random, permit_id)
    cells |= {"Permit Creation Date": _day(filed), "Filed Date": _time(filed), "Current Status": status}
    cells |= {"Current Status Date": _time(at), "Last Permit Activity Date": _time(at)}
    if status in ("complete", "issued", "expired", "suspend"):
        cells["Issued Date"] = _time(issued)
    if status == "complete":
        cells["Completed Date"] = _time(completed)
    first = _address(random, permit_id, 0)
    rows = [cells | first]
    if random.random() < 0.05:  # a corner house: another number, the same lot
        other = {"Record ID": f"{permit_id}1", "Street Number": str(int(first["Street Number"]) + 2)}
        rows.append(cells | first | other | {"Primary Address Flag": ""})
    return rows


def _described(random: Random, permit_id: str) -> Cells:
    """Return the cells that describe the work."""
    code, kind = random.choices(words.TYPES, (90, 4, 4, 1, 1))[0]
    use, occupancy, most_units = random.choice(words.USES)
    construction, construction_words = random.choice(words.CONSTRUCTION)
    cost = random.choice((1, 500, 1_200, 3_000, 5_000, 8_500, 12_000, 20_000, 45_000, 90_000, 250_000, 1_400_000))
    stories, units = str(random.randint(1, 7)), str(random.randint(0, most_units))
    fire = random.random() < 0.15
    return {
        "Permit Number": permit_id,
        "Permit Type": code,
        "Permit Type Definition": kind,
        "Description": random.choice(words.FIRE_WORKS if fire else words.WORKS).format(floor=random.randint(1, 5)),
        "Fire Only Permit": "Y" if fire else "",
        "Estimated Cost": str(cost),
        "Revised Cost": str(cost * random.choice((1, 1, 1, 2))),
        "Existing Use": use,
        "Proposed Use": use,
        "Existing Units": units,
        "Proposed Units": units,
        "Number of Existing Stories": stories,
        "Number of Proposed Stories": stories,
        "Plansets": random.choice(("0", "2", "2", "2")),
        "Existing Occupancy": occupancy,
        "Proposed Occupancy": occupancy,
        "Existing Construction Type": construction,
        "Existing Construction Type Description": construction_words,
        "Proposed Construction Type": construction,
        "Proposed Construction Type Description": construction_words,
        "Structural Notification": "",
        "Voluntary Soft-Story Retrofit": "",
        "Site Permit": "",
        "TIDF Compliance": "",
        "Application Submission Method": random.choice(("in-house", "in-house", "online")),
        "ADU": "N",
        "First Construction Document Date": "",
    }


def _address(random: Random, permit_id: str, row: int) -> Cells:
    """Return the cells of an address near the middle of a neighborhood."""
    place = random.choice(words.NEIGHBORHOODS)
    longitude, latitude = (
        place.longitude + random.uniform(-0.006, 0.006),
        place.latitude + random.uniform(-0.004, 0.004),
    )
    street, suffix = random.choice(words.STREETS)
    return {
        "Record ID": f"{permit_id}{row}",
        "Block": f"9{random.randint(0, 999):03}",
        "Lot": f"{random.randint(1, 60):03}",
        "Street Number": str(random.randint(1, 2_400)),
        "Street Number Suffix": "",
        "Street Name": street,
        "Street Suffix": suffix,
        "Unit": random.choice(("", "", "", str(random.randint(1, 40)))),
        "Unit Suffix": "",
        "Primary Address Flag": "Y",
        "Supervisor District": str(place.district),
        "Neighborhoods - Analysis Boundaries": place.name,
        "Zipcode": place.zipcode,
        "Location": f"POINT ({longitude:.6f} {latitude:.6f})",
        "Point Source": "made up",
    }


def _day(local: datetime) -> str:
    return f"{local:%m/%d/%Y}"


def _time(local: datetime) -> str:
    return f"{local:%m/%d/%Y %I:%M:%S %p}"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
