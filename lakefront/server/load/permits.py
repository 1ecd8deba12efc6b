"""San Francisco's published building permits (DataSF ``i98e-djp9``, CSV): each row becomes its events (P2).

Event ids hold a hash of the content. So a file loaded twice gives only duplicates, an updated file only new events, and
the address rows of one permit share their later events while each brings its own address with its ``permit_filed``.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

import orjson

from lakefront.server.load import table
from lakefront.server.load.cells import count, day, dollars, flag, instant, name, point, words
from lakefront.server.load.table import Field, Reading, Row

Event = dict[str, Any]
"""``{eventId, permitId, eventType, timestamp, eventData}``: JSON values, as the door takes them."""

FIELDS: Final = (
    Field("typeCode", "Permit Type"),
    Field("type", "Permit Type Definition"),
    Field("description", "Description", words),
    Field("createdOn", "Permit Creation Date", day),
    Field("expiresAt", "Permit Expiration Date", instant),  # the city publishes it at times
    Field("firstConstructionDocumentAt", "First Construction Document Date", instant),
    Field("lastActivityAt", "Last Permit Activity Date", instant),
    Field("estimatedCost", "Estimated Cost", dollars),
    Field("revisedCost", "Revised Cost", dollars),
    Field("existingUse", "Existing Use"),
    Field("proposedUse", "Proposed Use"),
    Field("existingUnits", "Existing Units", count),
    Field("proposedUnits", "Proposed Units", count),
    Field("existingStories", "Number of Existing Stories", count),
    Field("proposedStories", "Number of Proposed Stories", count),
    Field("existingOccupancy", "Existing Occupancy"),
    Field("proposedOccupancy", "Proposed Occupancy"),
    Field("existingConstructionType", "Existing Construction Type"),
    Field("existingConstructionTypeDescription", "Existing Construction Type Description"),
    Field("proposedConstructionType", "Proposed Construction Type"),
    Field("proposedConstructionTypeDescription", "Proposed Construction Type Description"),
    Field("plansets", "Plansets", count),
    Field("structuralNotification", "Structural Notification", flag),
    Field("voluntarySoftStoryRetrofit", "Voluntary Soft-Story Retrofit", flag),
    Field("fireOnly", "Fire Only Permit", flag),
    Field("sitePermit", "Site Permit", flag),
    Field("adu", "ADU", flag),
    Field("tidfCompliance", "TIDF Compliance"),
    Field("submissionMethod", "Application Submission Method"),
    Field("neighborhood", "Neighborhoods - Analysis Boundaries"),
    Field("supervisorDistrict", "Supervisor District", count),
    Field("zipcode", "Zipcode"),
)
"""What describes the permit. An empty cell is ``null``; a column that the file lacks is left out: it says nothing."""

ADDRESS_FIELDS: Final = (
    Field("block", "Block"),
    Field("lot", "Lot"),
    Field("streetNumber", "Street Number"),
    Field("streetNumberSuffix", "Street Number Suffix"),
    Field("streetName", "Street Name"),
    Field("streetSuffix", "Street Suffix"),
    Field("unit", "Unit"),
    Field("unitSuffix", "Unit Suffix"),
    Field("neighborhood", "Neighborhoods - Analysis Boundaries"),
    Field("supervisorDistrict", "Supervisor District", count),
    Field("zipcode", "Zipcode"),
    Field("pointSource", "Point Source"),
)

NEEDED: Final = ("Permit Number", "Record ID", "Filed Date", "Current Status", "Current Status Date")
"""Without these columns the file is not what we take it for."""

ENDINGS: Final = {"expired": "permit_expired", "cancelled": "permit_cancelled"}
"""Statuses that are the permit's end, and the event that says so."""


def read_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Yield every row of the file (see ``table.read_rows``); raises ``LoadError`` if it is no permits file."""
    return table.read_rows(lines, NEEDED, "San Francisco's data set i98e-djp9", row_events)


def row_events(cells: Mapping[str, str]) -> tuple[list[Event], list[tuple[str, str]]]:
    """Return the events of one row (column -> text), and its problems as (column, reason): one list or the other."""
    row = Reading(cells)
    permit = row.need("Permit Number", name)
    filed = row.get("Filed Date", instant) or row.get("Permit Creation Date", instant)
    if filed is None and not row.problems:
        row.problems.append(("Filed Date", "is empty, and so is Permit Creation Date"))
    described = {**row.fields(FIELDS), "filedAt": filed, "addresses": [_address(row)]}
    issued, completed = row.get("Issued Date", instant), row.get("Completed Date", instant)
    status = row.get("Current Status", name)
    status_at = row.need("Current Status Date", instant) if status else None
    if row.problems:
        return [], row.problems

    found = [("permit_filed", "filed", filed, described)]
    if issued:
        revised = {"revisedCost": described["revisedCost"]} if described.get("revisedCost") is not None else {}
        found.append(("permit_issued", "issued", issued, {"issuedAt": issued, **revised}))
    if completed:
        found.append(("permit_completed", "complete", completed, {"completedAt": completed}))
    if status in ENDINGS:
        found.append((ENDINGS[status], status, status_at, {}))
    if status and not any((says, at) == (status, status_at) for _, says, at, _ in found):
        found.append(("status_change", status, status_at, {"newStatus": status}))
    return [event(permit, kind, at, data) for kind, _, at, data in found], []


def event(permit_id: str, event_type: str, timestamp: str, data: Mapping[str, Any]) -> Event:
    """Return an event whose id follows from all that it says."""
    content = orjson.dumps([permit_id, event_type, timestamp, dict(data)], option=orjson.OPT_SORT_KEYS)
    return {
        "eventId": f"sf-{permit_id}-{event_type}-{blake2b(content, digest_size=8).hexdigest()}",
        "permitId": permit_id,
        "eventType": event_type,
        "timestamp": timestamp,
        "eventData": dict(data),
    }


def _address(row: Reading) -> dict[str, Any]:
    location = row.get("Location", point)
    return {
        "addressId": row.need("Record ID", name),
        "primary": row.get("Primary Address Flag", flag) is True,
        "longitude": location and location[0],
        "latitude": location and location[1],
        **row.fields(ADDRESS_FIELDS),
    }
