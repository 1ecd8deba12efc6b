"""New York's published 311 requests: every row of the city's own file is read, and what is dirty in it is told."""

import io
from pathlib import Path

import pytest

from lakefront.server.load import LoadError
from lakefront.server.load.service_requests import NEEDED, read_rows
from lakefront.server.load.table import Row

PUBLISHED = Path(__file__).parents[2].parent / "shared" / "data" / "nyc_311_service_requests.csv"

needs_published = pytest.mark.skipif(
    not PUBLISHED.exists(), reason="the city's published file is not at ../shared/data/nyc_311_service_requests.csv"
)

HEADER = [*NEEDED, "Closed Date", "Incident Zip", "Latitude", "Longitude"]
LINE = ["1", "03/01/2011 11:02:37 AM", "NYPD", "Noise", "Closed", "Unspecified", "", "N/A", "40.5", "-73.9"]


def rows_of(*lines: list[str], header: list[str] = HEADER) -> list[Row]:
    text = "".join(",".join(cells) + "\n" for cells in (header, *lines))
    return list(read_rows(io.StringIO(text, newline="")))


def test_a_row_is_a_record() -> None:
    [row] = rows_of(LINE)
    assert row.events == [
        {
            "provider": "nyc311",
            "city": "nyc",
            "unique_key": "1",
            "reported_at": "2011-03-01T16:02:37Z",
            "external_status": "Closed",
            "agency": "NYPD",
            "complaint_type": "Noise",
            "postal_code": None,
            "borough": None,
            "closed_at": None,
            "latitude": 40.5,
            "longitude": -73.9,
        }
    ]


def test_no_place_is_none_at_zero() -> None:
    found = rows_of([*LINE[:-2], "0", "0"], [*LINE[:-2], "", ""])
    assert all("latitude" not in row.events[0] for row in found)


def test_what_cannot_be_read_is_told_with_its_line() -> None:
    good, *bad = rows_of(
        LINE,
        ["", *LINE[1:]],
        ["2", "soon", *LINE[2:]],
        [*LINE[:-2], "95", "-73.9"],
        LINE[:-1],
    )
    assert good.events
    assert not any(row.events for row in bad)
    assert [str(problem) for row in bad for problem in row.problems] == [
        "line 3, Unique Key: is empty",
        "line 4, Created Date: 'soon' is not a date like 01/31/2024, nor a time like 01/31/2024 02:30:00 PM",
        "line 5, Latitude: '95' is no number of degrees from -90 to 90",
        "line 6: has 9 cells, the header has 10",
    ]


def test_another_file_is_refused() -> None:
    with pytest.raises(LoadError, match=r"The header lacks Unique Key.*erm2-nwe9"):
        rows_of(header=["Permit Number"])


@needs_published
def test_the_published_file_is_read_to_its_end() -> None:
    with PUBLISHED.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        rows = list(read_rows(lines))
    assert (len(rows), sum(bool(row.problems) for row in rows)) == (1500, 0)
    assert len({row.events[0]["unique_key"] for row in rows}) == 1500
    assert sum("latitude" in row.events[0] for row in rows) == 1052
