"""Rows of the published file become events: values, times, ids, and every trap that a file may hold."""

import io
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.domain.permits.payloads import parse
from lakefront.server.load import LoadError
from lakefront.server.load.cells import INT4_MAX, CellError, count, day, dollars, flag, instant, point, text
from lakefront.server.load.permits import ADDRESS_FIELDS, FIELDS, NEEDED, Event, read_rows, row_events
from lakefront.server.load.table import Row

FIXTURE = Path(__file__).parent.parent / "fixtures" / "permits.csv"
PUBLISHED = Path(__file__).parents[2].parent / "shared" / "data" / "sf_building_permits.csv"

needs_published = pytest.mark.skipif(
    not PUBLISHED.exists(), reason="the city's published file is not at ../shared/data/sf_building_permits.csv"
)


def rows_of(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        return list(read_rows(lines))


def events_of(rows: list[Row]) -> list[Event]:
    return [event for row in rows for event in row.events]


def story(rows: list[Row], permit_id: str) -> list[tuple[str, str]]:
    """(type, timestamp) of a permit's distinct events, in the file's order."""
    found = {
        event["eventId"]: (event["eventType"], event["timestamp"])
        for event in events_of(rows)
        if event["permitId"] == permit_id
    }
    return list(found.values())


def accepted_by_the_domain(event: Event) -> None:
    parse(orjson.dumps(event), trace_id="test", latest=datetime(9999, 12, 31, tzinfo=UTC))


def test_a_row_tells_the_life_of_its_permit() -> None:
    rows = rows_of(FIXTURE)
    assert story(rows, "900000000001") == [
        ("permit_filed", "2022-05-02T16:00:00Z"),
        ("permit_issued", "2022-05-03T17:15:00Z"),
    ]
    assert story(rows, "900000000003") == [
        ("permit_filed", "2022-05-02T16:00:00Z"),
        ("status_change", "2022-05-09T15:00:00Z"),
    ]
    assert [kind for kind, _ in story(rows, "900000000004")] == ["permit_filed", "permit_issued", "permit_expired"]
    assert [kind for kind, _ in story(rows, "900000000005")] == ["permit_filed", "permit_cancelled"]


def test_a_status_is_told_unless_a_life_cycle_event_tells_it_at_that_time() -> None:
    rows = rows_of(FIXTURE)
    assert "status_change" not in dict(story(rows, "900000000002"))
    assert story(rows, "900000000018")[-2:] == [
        ("permit_completed", "2022-07-01T16:00:00Z"),
        ("status_change", "2022-07-02T16:00:00Z"),
    ]


def test_what_a_filed_event_says() -> None:
    filed = rows_of(FIXTURE)[0].events[0]
    assert filed["permitId"] == "900000000001"
    data = filed["eventData"]
    assert data["type"] == "otc alterations permit"
    assert (data["estimatedCost"], data["revisedCost"]) == (25_000, 30_000)
    assert data["createdOn"] == "2022-05-02"
    assert data["adu"] is False
    assert data["fireOnly"] is None
    assert "expiresAt" not in data, "a column that the file lacks says nothing"
    (address,) = data["addresses"]
    assert address["addressId"] == "100001"
    assert address["primary"] is True
    assert (address["longitude"], address["latitude"]) == (-122.4148, 37.7599)
    assert rows_of(FIXTURE)[0].events[1]["eventData"] == {"issuedAt": "2022-05-03T17:15:00Z", "revisedCost": 30_000}


def test_two_addresses_of_one_permit_share_all_but_the_filing() -> None:
    events = [event for event in events_of(rows_of(FIXTURE)) if event["permitId"] == "900000000002"]
    ids = Counter(event["eventId"] for event in events)
    assert sorted((event["eventType"], ids[event["eventId"]]) for event in events) == [
        ("permit_completed", 2),
        ("permit_completed", 2),
        ("permit_filed", 1),
        ("permit_filed", 1),
        ("permit_issued", 2),
        ("permit_issued", 2),
    ]


def test_quotes_newlines_and_accents_survive_and_lines_are_counted() -> None:
    rows = {row.line: row for row in rows_of(FIXTURE)}
    assert rows[5].events[0]["eventData"]["description"] == 'say "hello", then\nbuild a deck; café side'
    assert 6 not in rows, "it is the second line of the row before"
    assert rows[7].events


def test_every_bad_row_is_reported_with_line_column_and_reason() -> None:
    problems = [str(problem) for row in rows_of(FIXTURE) for problem in row.problems]
    assert problems == [
        "line 12, Filed Date: '13/45/2022 09:00:00 AM' is a date that no calendar has",
        "line 13, Estimated Cost: 'about 500' is not an amount in dollars",
        "line 13, Number of Existing Stories: 'two' is not a whole number",
        "line 14, Estimated Cost: '2147483648' is greater than 2,147,483,647",
        "line 15, Record ID: is empty",
        "line 16, Permit Number: is empty",
        "line 17, Location: 'POINT (12,5)' is not a point like POINT (-122.4 37.8)",
        "line 18, ADU: 'maybe' is neither Y nor N",
        "line 19, Current Status Date: is empty",
        "line 20, Filed Date: is empty, and so is Permit Creation Date",
        "line 21: has 3 cells, the header has 51",
    ]
    assert not any(row.events and row.problems for row in rows_of(FIXTURE))


def test_a_permit_without_filed_date_is_filed_on_its_day_of_creation() -> None:
    (filed,) = (event for event in events_of(rows_of(FIXTURE)) if event["permitId"] == "900000000008")
    assert filed["timestamp"] == "2022-05-02T07:00:00Z", "local midnight"
    assert filed["eventData"]["estimatedCost"] == 1235
    assert filed["eventData"]["revisedCost"] is None


def test_ids_follow_from_the_content() -> None:
    rows = rows_of(FIXTURE)
    assert events_of(rows) == events_of(rows_of(FIXTURE))
    header, *_ = FIXTURE.read_text(encoding="utf-8-sig").splitlines()
    cells = dict.fromkeys(header.split(","), "")
    cells |= {"Permit Number": "1", "Record ID": "2", "Filed Date": "05/02/2022 09:00:00 AM", "Description": "deck"}
    (before,), (after,) = row_events(cells)[0], row_events({**cells, "Description": "porch"})[0]
    assert before["eventId"] != after["eventId"]
    assert (before["permitId"], before["timestamp"]) == (after["permitId"], after["timestamp"])


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("", "The header lacks Permit Number"),
        ("a,b\n1,2\n", "The header lacks"),
        (",".join(NEEDED[:-1]) + "\n", "The header lacks Current Status Date"),
        (",".join((*NEEDED, NEEDED[0])) + "\n", "more than once"),
        ('"Permit Number\n', "not CSV"),
    ],
)
def test_a_file_of_another_kind_is_refused(file: str, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        list(read_rows(io.StringIO(file, newline="")))


def test_a_file_may_lack_what_is_not_needed() -> None:
    file = ",".join(NEEDED) + "\r\n1,2,05/02/2022,filed,05/02/2022 12:00:00 AM\r\n\r\n"
    (row,) = read_rows(io.StringIO("\ufeff" + file, newline=""))
    assert [event["eventType"] for event in row.events] == ["permit_filed"]
    assert set(row.events[0]["eventData"]) == {"filedAt", "addresses"}
    accepted_by_the_domain(row.events[0])


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"1\x00,2,05/02/2022,,", "NUL"),
        (b"1\xff,2,05/02/2022,,", "not valid UTF-8"),
        (b'"1"x,2,05/02/2022,,', "not well-formed CSV"),
        (b'"' + b"x" * 200_000 + b'",2,05/02/2022,,', "not well-formed CSV"),
        (b"1" * 101 + b",2,05/02/2022,,", "longer than 100"),
    ],
)
def test_a_broken_row_costs_only_itself(tmp_path: Path, broken: bytes, reason: str) -> None:
    file = tmp_path / "permits.csv"
    file.write_bytes(",".join(NEEDED).encode() + b"\n" + broken + b"\n3,4,05/02/2022,,\n")
    first, second = rows_of(file)
    assert reason in str(first.problems[0])
    assert (first.line, second.line) == (2, 3)
    assert [event["permitId"] for event in second.events] == ["3"]


def test_an_unclosed_quote_at_the_end_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "permits.csv"
    file.write_text(",".join(NEEDED) + '\n3,4,05/02/2022,,\n"5,6,05/02/2022,,\n')
    good, bad = rows_of(file)
    assert good.events
    assert bad.line == 3
    assert "not well-formed CSV" in str(bad.problems[0])


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("01/15/2024 10:30:00 AM", "2024-01-15T18:30:00Z"),
        ("07/15/2024 12:00:00 AM", "2024-07-15T07:00:00Z"),
        ("07/15/2024 12:00:00 PM", "2024-07-15T19:00:00Z"),
        ("07/15/2024", "2024-07-15T07:00:00Z"),
        ("11/05/2023 01:30:00 AM", "2023-11-05T08:30:00Z"),  # twice: the first, daylight time
        ("11/05/2023 02:00:00 AM", "2023-11-05T10:00:00Z"),
        ("03/12/2023 02:30:00 AM", "2023-03-12T10:30:00Z"),  # never: 03:30 daylight time
        ("03/12/2023 03:30:00 AM", "2023-03-12T10:30:00Z"),
        ("02/29/2024", "2024-02-29T08:00:00Z"),
    ],
)
def test_local_times(cell: str, expected: str) -> None:
    assert instant(cell) == expected


@pytest.mark.parametrize(
    "cell",
    [
        *("2024-01-15", "1/15/2024", "01/15/24", "01/15/2024 10:30", "01/15/2024 10:30:00", "01/15/2024 00:30:00 AM"),
        *("01/15/2024 13:30:00 PM", "01/15/2024 10:60:00 AM", "02/30/2023", "02/29/2023", "00/10/2023", "12/31/0000"),
        *("12/31/9999 11:00:00 PM", "01/15/2024 10:30:00 AM PST", "01/15/202\u0664", "soon"),
    ],
)
def test_what_is_no_local_time(cell: str) -> None:
    with pytest.raises(CellError):
        instant(cell)


@given(st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - made local below
def test_any_instant_comes_back_from_its_local_time(utc: datetime) -> None:
    moment = utc.replace(microsecond=0, tzinfo=UTC)
    local = moment.astimezone(ZoneInfo("America/Los_Angeles"))
    found = datetime.fromisoformat(instant(f"{local:%m/%d/%Y %I:%M:%S %p}"))
    assert found == local.replace(fold=0).astimezone(UTC)
    assert day(f"{local:%m/%d/%Y %I:%M:%S %p}") == str(local.date())


@given(st.text())
def test_any_text_is_a_value_or_a_cell_error(cell: str) -> None:
    for parsed in (instant, day, dollars, count, flag, point, text):
        try:
            parsed(cell)
        except CellError:
            continue


@given(st.integers(0, INT4_MAX), st.integers(0, 99))
def test_dollars_round_half_up(whole: int, cents: int) -> None:
    if whole == INT4_MAX and cents >= 50:
        with pytest.raises(CellError):
            dollars(f"{whole}.{cents:02}")
        return
    for written in (f"{whole}.{cents:02}", f"${whole:,}.{cents:02}", f"{whole}.{cents:02}000"):
        assert dollars(written) == whole + (cents >= 50)


@pytest.mark.parametrize(
    "cell", ["-5", "1e3", "NaN", "inf", "1_000", "12,34", "1.2.3", ".", "5.", "\u0663", "2147483648", "9" * 100_000]
)
def test_what_is_no_amount(cell: str) -> None:
    with pytest.raises(CellError):
        dollars(cell)


def test_counts_and_points() -> None:
    assert count("12") == count("0012") == count("12.0") == 12
    assert point("POINT (-122.4 37.8)") == (-122.4, 37.8)
    for cell in ("1.5", "-1", "1e1", "2147483648"):
        with pytest.raises(CellError):
            count(cell)
    for cell in ("POINT (37.8)", "POINT (200 10)", "POINT (10 95)", "POINT (nan nan)", "-122.4 37.8"):
        with pytest.raises(CellError):
            point(cell)


COLUMNS = sorted({*NEEDED, "Permit Creation Date", "Issued Date", "Completed Date", "Location", "Primary Address Flag"})
COLUMNS += sorted({field.column for field in (*FIELDS, *ADDRESS_FIELDS)} - set(COLUMNS))
CELLS = st.one_of(
    st.sampled_from(["", "", "Y", "N", "0", "3", "1234.50", "filed", "complete", "issued", "expired", "withdrawn"]),
    st.sampled_from(["05/02/2022", "05/03/2022 10:15:00 AM", "01/01/0001", "POINT (-122.4 37.8)"]),
    st.text(max_size=250),
)


@given(st.dictionaries(st.sampled_from(COLUMNS), CELLS))
def test_events_of_any_row_are_taken_by_the_domain(cells: dict[str, str]) -> None:
    needed = {"Permit Number": "1", "Record ID": "2", "Filed Date": "05/02/2022"}
    wrong = dict(row_events(needed | cells)[1])
    events, problems = row_events(needed | {column: cell for column, cell in cells.items() if column not in wrong})
    assert bool(events) != bool(problems)
    for event in events:
        accepted_by_the_domain(event)


@needs_published
def test_the_published_file_is_read_whole() -> None:
    rows = rows_of(PUBLISHED)
    events = events_of(rows)
    assert len(rows) == 5_000
    assert not [problem for row in rows for problem in row.problems]
    assert Counter(event["eventType"] for event in events) == {
        "permit_filed": 5_000,
        "permit_issued": 4_737,
        "permit_completed": 3_575,
        "status_change": 81,
        "permit_cancelled": 73,
        "permit_expired": 59,
    }
    by_id: dict[str, Event] = {}
    for event in events:
        assert by_id.setdefault(event["eventId"], event) == event
        accepted_by_the_domain(event)
    assert len({event["permitId"] for event in events}) == 4_791
