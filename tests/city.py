"""Made-up permits: small, with nulls and ties in all the places that orders and filters must get right."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

START = datetime(2024, 1, 1, tzinfo=UTC)
NEIGHBORHOODS = ("Mission", "Sunset/Parkside", None, "Bernal Heights", "100%_odd\\one")
TYPES = ("permit_filed", "permit_issued", "status_change")
COUNT = 60


def permit(number: int) -> dict[str, Any]:
    """The row of the permit with that number; every value follows from it."""
    return {
        "permit_id": f"P{number:03d}",
        "status": ("filed", "issued", None, "complete")[number % 4],
        "neighborhood": NEIGHBORHOODS[number % 5],
        "estimated_cost": None if number % 7 == 0 else number % 6 * 1000,
        "revised_cost": None if number % 3 else number * 500,
        "filed_at": None if number % 11 == 0 else START + timedelta(days=number % 13, microseconds=number * 100),
        "created_on": None if number % 5 == 1 else (START + timedelta(days=number % 40)).date(),
        "adu": (True, False, None)[number % 3],
        "proposed_units": number % 4 or None,
        "inspector": "Ada" if number % 10 == 0 else None,
        "inspection_type": "final" if number % 10 == 0 else None,
        "updated_at": START,
    }


def addresses(number: int) -> list[dict[str, Any]]:
    """Up to two address rows of the permit; some without a place."""
    return [
        {
            "permit_id": f"P{number:03d}",
            "address_id": f"A{place}",
            "block": f"{number % 5:04d}",
            "primary": place == 0,
            "latitude": None if number % 4 == 0 else round(37.70 + number / 1000, 3),
            "longitude": None if number % 4 == 0 else round(-122.40 - place / 100, 2),
            "occurred_at": START,
            "rank": 0,
            "offset": 0,
        }
        for place in range(number % 3)
    ]


def events(number: int) -> list[dict[str, Any]]:
    """Up to seven events of the permit; two of three share their time."""
    return [
        {
            "stream": "sf-permit-events",
            "shard": number % 2,
            "offset": number * 10 + place,
            "event_id": f"E{number}-{place}",
            "event_type": TYPES[place % 3],
            "partition_key": f"P{number:03d}",
            "occurred_at": START + timedelta(hours=place // 2),
            "ingested_at": START + timedelta(days=30, milliseconds=number * 10 + place),
            "payload": json.dumps({"n": number, "text": "ünï", "price": 1.5}),
            "trace_id": "t",
            "schema_version": "1.0",
            "source": "test",
        }
        for place in range(number % 8)
    ]


async def settle(connection: "asyncpg.Connection[Any]", count: int = COUNT) -> None:
    """Write it all, for the tenant ``city``; and permit P001 once more for another tenant."""
    every = range(count)
    await insert(connection, "permits", [{"field_versions": "{}", **permit(number)} for number in every])
    await insert(connection, "permit_addresses", [row for number in every for row in addresses(number)])
    await insert(connection, "events", [row for number in every for row in events(number)])
    hidden = {"field_versions": "{}", **permit(1), "neighborhood": "Secret"}
    await insert(connection, "permits", [hidden], "other")
    await insert(connection, "permit_addresses", [{**addresses(1)[0], "block": "secret"}], "other")
    await insert(connection, "events", [{**events(1)[0], "event_id": "secret"}], "other")


async def insert(
    connection: "asyncpg.Connection[Any]", table: str, rows: list[dict[str, Any]], tenant: str = "city"
) -> None:
    """Insert rows that have the same columns."""
    if not rows:
        return
    names = ", ".join(f'"{name}"' for name in ("tenant_id", *rows[0]))
    places = ", ".join(f"${place}" for place in range(1, len(rows[0]) + 2))
    await connection.executemany(
        f"INSERT INTO lakefront.{table} ({names}) VALUES ({places})", [(tenant, *row.values()) for row in rows]
    )
