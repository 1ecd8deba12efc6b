"""Scalars have PostgreSQL's text forms."""

from datetime import UTC, datetime, timedelta, timezone

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakefront.graphql.scalars import parse_big_int, parse_date, parse_timestamp, timestamp_text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(st.lists(st.datetimes(timezones=st.timezones()), max_size=20))
async def test_timestamps_are_written_as_postgresql_does(dsn: str, moments: list[datetime]) -> None:
    kept = [moment.astimezone(UTC) for moment in moments if 2 < moment.year < 9999]
    connection = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"})
    try:
        texts = await connection.fetchval(
            "SELECT array(SELECT to_json(t) #>> '{}' FROM unnest($1::timestamptz[]) t)", kept
        )
    finally:
        await connection.close()
    assert [timestamp_text(moment) for moment in kept] == texts
    assert [parse_timestamp(text) for text in texts] == kept


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-15T10:30:00Z", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
        ("2024-01-15t10:30:00.5z", datetime(2024, 1, 15, 10, 30, 0, 500_000, tzinfo=UTC)),
        ("2024-01-15T10:30:00.123456+05:30", datetime(2024, 1, 15, 10, 30, 0, 123_456, timezone(timedelta(hours=5.5)))),
    ],
)
def test_timestamps_in(text: str, moment: datetime) -> None:
    assert parse_timestamp(text) == moment


@pytest.mark.parametrize(
    "text",
    ["2024-01-15", "2024-01-15T10:30:00", "2024-13-01T00:00:00Z", "2024-01-15T10:30:00.1234567Z", "now", 5, None, "",
     "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2024-01-15T10:30:60Z", "\uff12024-01-15T10:30:00Z"],
)  # fmt: skip
def test_no_timestamps(text: object) -> None:
    with pytest.raises(ValueError, match=r"DateTime|point in time"):
        parse_timestamp(text)


@pytest.mark.parametrize("text", ["2024-1-1", "20240101", "2024-02-30", 5, "2024-01-01T00:00:00Z"])
def test_no_dates(text: object) -> None:
    with pytest.raises(ValueError, match=r"Date|date"):
        parse_date(text)


def test_big_integers() -> None:
    assert [parse_big_int(value) for value in ("9223372036854775807", "-9223372036854775808", 0, "-0")] == [
        2**63 - 1,
        -(2**63),
        0,
        0,
    ]
    for value in ("9223372036854775808", "1.0", "", "1e3", 1.5, True, None, "٣"):
        with pytest.raises(ValueError, match="BigInt"):
            parse_big_int(value)
