"""What is made of published rows: typed values, an event each, one for each natural key (C5)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from lakefront.adapters.opendata import Row
from lakefront.domain.open_data import DATA_SETS
from lakefront.domain.open_data.rows import Entry, Parsed, parse

AT = datetime(2026, 5, 28, 14, tzinfo=UTC)
SETS = pytest.mark.parametrize("dataset", list(DATA_SETS))
REQUEST = {
    "unique_key": "60000001",
    "created_date": "2026-03-08T03:30:00.000",
    "status": "Open",
    "latitude": "40.5",
    "x_coordinate_state_plane": "1001687",
    "community_board": "15 BROOKLYN",
    "new_column": {"anything": [1, 2]},
}
INSPECTION = {
    "camis": "50000001",
    "inspection_date": "2026-05-02T00:00:00.000",
    "score": "13",
    "record_date": "2026-05-27T06:00:11.000",
}


def made(dataset: str, *columns: dict[str, Any], at: datetime = AT) -> Parsed:
    rows = [Row(id=f"row-{place}", updated_at=at, columns=each) for place, each in enumerate(columns)]
    return parse(DATA_SETS[dataset], rows, "trace")


def one(dataset: str, columns: dict[str, Any], at: datetime = AT) -> Entry:
    [entry] = made(dataset, columns, at=at).entries.values()
    return entry


@SETS
def test_a_declaration_is_whole(dataset: str) -> None:
    it = DATA_SETS[dataset]
    assert set(it.needed) <= {*it.natural_key, *it.forms}
    assert set(it.happened) <= set(it.forms)
    assert not it.noise & {*it.natural_key, *it.forms}


def test_columns_are_typed_and_others_stay() -> None:
    entry = one("erm2-nwe9", REQUEST | {"closed_date": None})
    assert entry.columns == {
        "unique_key": "60000001",
        "created_date": "2026-03-08T07:30:00+00:00",  # an hour after New York's clocks went forward
        "status": "Open",
        "latitude": 40.5,
        "x_coordinate_state_plane": 1001687,
        "community_board": "15 BROOKLYN",
        "new_column": {"anything": [1, 2]},
    }
    assert entry.event.partition_key == entry.key == "60000001"
    payload = orjson.loads(entry.event.payload)
    assert payload == {
        "dataset": "erm2-nwe9",
        "updatedAt": "2026-05-28T14:00:00+00:00",
        "columns": entry.columns,
    }


def test_an_event_is_no_later_than_its_publication() -> None:
    closed = REQUEST | {"closed_date": "2026-05-01T10:00:00.000"}
    assert one("erm2-nwe9", closed).event.occurred_at == datetime(2026, 5, 1, 14, tzinfo=UTC)
    assert one("erm2-nwe9", REQUEST | {"closed_date": "2099-01-01T00:00:00.000"}).event.occurred_at == AT
    assert one("43nn-pn8j", INSPECTION).event.occurred_at == datetime(2026, 5, 2, 4, tzinfo=UTC)


def test_the_same_row_is_the_same_event_and_another_word_is_another() -> None:
    first = one("43nn-pn8j", INSPECTION)
    assert one("43nn-pn8j", dict(reversed(INSPECTION.items()))) == first
    later = one("43nn-pn8j", INSPECTION, at=AT + timedelta(days=1))
    assert later.digest == first.digest
    assert later.event.event_id != first.event.event_id
    # The day of publication says nothing about the restaurant.
    assert one("43nn-pn8j", INSPECTION | {"record_date": "2026-05-28T06:00:11.000"}).digest == first.digest
    assert one("43nn-pn8j", INSPECTION | {"score": "14"}).digest != first.digest
    assert one("43nn-pn8j", INSPECTION | {"score": "13.0"}).digest == first.digest


def test_of_rows_with_one_natural_key_the_newest_stands() -> None:
    found = made("43nn-pn8j", INSPECTION, INSPECTION | {"score": "20"}, INSPECTION | {"violation_code": "04L"})
    assert sorted(entry.columns["score"] for entry in found.entries.values()) == [13, 20]
    assert (len(found.entries), found.doubles, found.problems) == (2, 1, [])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"unique_key": None}, "unique_key"),
        ({"unique_key": " "}, "unique_key"),
        ({"created_date": None}, "created_date"),
        ({"created_date": "03/01/2011"}, "created_date"),
        ({"created_date": 5}, "created_date"),
        ({"created_date": "0001-01-01T00:00:00.000", "closed_date": "9999-12-31T23:59:59.000"}, "closed_date"),
        ({"latitude": "nan"}, "latitude"),
        ({"latitude": [1]}, "latitude"),
        ({"x_coordinate_state_plane": "1e300"}, "x_coordinate_state_plane"),
        ({"x_coordinate_state_plane": "1.5"}, "x_coordinate_state_plane"),
        ({"status": "a\0b"}, None),
        ({"deep": {"a\0": [1]}}, None),
        ({"unique_key": "k" * 500}, None),
        ({"status": "s" * 70_000}, None),
        ({"numbers": [1e300] * 300}, None),
    ],
)
def test_what_cannot_be_taken_in_is_told_without_its_value(change: dict[str, Any], field: str | None) -> None:
    found = made("erm2-nwe9", REQUEST, REQUEST | {"unique_key": "2"} | change)
    assert [entry.key for entry in found.entries.values()] == ["60000001"]
    [problem] = found.problems
    assert (problem.row, problem.field) == ("row-1", field)
    assert len(problem.message) < 100


def test_what_looks_like_a_nul_is_none() -> None:
    assert one("erm2-nwe9", REQUEST | {"status": "\\u0000"}).columns["status"] == "\\u0000"


def test_whatever_the_publisher_calls_a_row_its_problem_can_be_stored() -> None:
    found = parse(DATA_SETS["erm2-nwe9"], [Row(id="row\0" * 100, updated_at=AT, columns={})], "trace")
    assert found.problems[0].row == ("row?" * 100)[:200]
