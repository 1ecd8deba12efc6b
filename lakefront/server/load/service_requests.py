"""New York's published 311 requests (NYC Open Data ``erm2-nwe9``, CSV): each row is a record of one request (C5).

A record says what the row says, under the publisher's own number of it. So a file loaded twice changes nothing, and a
newer one what is new; rows of the API of the same data set meet those of the file.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from lakefront.server.load import table
from lakefront.server.load.cells import degrees, instant, name, words
from lakefront.server.load.client import Answer, Verdict
from lakefront.server.load.table import Field, Reading, Row

PATH: Final = "service-request-records"
"""The door."""

PROVIDER: Final = "nyc311"
CITY: Final = "nyc"

_at = partial(instant, zone=ZoneInfo("America/New_York"))

UNKNOWN: Final = frozenset({"n/a", "unspecified", "0 unspecified"})
"""What the publisher writes where nothing is known."""

FIELDS: Final = (
    Field("external_status", "Status"),
    Field("agency", "Agency"),
    Field("agency_name", "Agency Name"),
    Field("complaint_type", "Complaint Type"),
    Field("descriptor", "Descriptor"),
    Field("location_type", "Location Type"),
    Field("address", "Incident Address"),
    Field("street_name", "Street Name"),
    Field("postal_code", "Incident Zip"),
    Field("borough", "Borough"),
    Field("community_board", "Community Board"),
    Field("channel", "Open Data Channel Type"),
    Field("resolution", "Resolution Description", words),
    Field("resolution_at", "Resolution Action Updated Date", _at),
    Field("closed_at", "Closed Date", _at),
    Field("expected_at", "Due Date", _at),
)
"""What is known of the request beside its number, time and place."""

NEEDED: Final = ("Unique Key", "Created Date", "Agency", "Complaint Type", "Status", "Borough")
"""Without these columns the file is not what we take it for."""


def read_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Yield every row of the file (see ``table.read_rows``); raises ``LoadError`` if it is none of 311 requests."""
    return table.read_rows(lines, NEEDED, "New York's data set erm2-nwe9", row_records)


def row_records(cells: Mapping[str, str]) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Return the record of one row (column -> text), or its problems as (column, reason)."""
    row = Reading({column: "" if cell.strip().lower() in UNKNOWN else cell for column, cell in cells.items()})
    record = {
        "provider": PROVIDER,
        "city": CITY,
        "unique_key": row.need("Unique Key", name),
        "reported_at": row.need("Created Date", _at),
        **row.fields(FIELDS),
    }
    latitude, longitude = row.get("Latitude", partial(degrees, most=90)), row.get("Longitude", degrees)
    if latitude and longitude:  # zero stands for a place that is not known
        record |= {"latitude": latitude, "longitude": longitude}
    return ([], row.problems) if row.problems else ([record], [])


class _Verdict(msgspec.Struct):
    request_id: str
    outcome: str
    field: str | None = None
    reason: str | None = None


class _Answer(msgspec.Struct):
    received: int
    created: int
    changed: int
    unchanged: int
    older: int
    rejected: int
    verdicts: list[_Verdict]


def read_answer(content: bytes) -> Answer:
    """The door's answer in the loader's words: what is new is accepted, what was there is a duplicate."""
    found = msgspec.json.decode(content, type=_Answer)
    verdicts = [Verdict(each.outcome, each.request_id, each.field, each.reason) for each in found.verdicts]
    new, known = found.created + found.changed, found.unchanged + found.older
    return Answer(found.received, new, known, found.rejected, verdicts)
