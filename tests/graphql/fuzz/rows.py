"""Made-up rows of two tenants: the same ids in both; nulls, ties, and texts that break careless code."""

import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg

from lakefront.domain.permits import STREAM
from lakefront.graphql.permits.enums import PermitEventType
from lakefront.graphql.service_requests.enums import EventType, State
from tests.graphql.fuzz.values import NASTY

TENANTS: Final[Mapping[str, int]] = {"city": 150, "other": 40}
"""Tenant -> how many permits it has."""

_START = datetime(2024, 1, 1, tzinfo=UTC)
_TEXTS = (*NASTY, "Mission", "Sunset/Parkside", "Bernal Heights", "mission", "filed", "issued")
_PLACES = (0.0, 37.75, 37.7501, -37.0, 90.0, 5e-324, 0.1, 45)
OWNERS: Final = ("ada", "bob", None)
"""Whose service requests are."""

_COLUMNS = """
SELECT column_name, data_type, is_nullable = 'YES' FROM information_schema.columns
WHERE (table_schema, table_name) = ('lakefront', $1) AND is_generated = 'NEVER' ORDER BY ordinal_position
"""

_ANALYZED = ("permits", "permit_addresses", "events", "service_requests", "service_request_changes")

Row = dict[str, Any]


async def fill(admin: "asyncpg.Connection[Any]") -> None:
    """Write it all; every run writes the same."""
    for tenant, count in TENANTS.items():
        dice = random.Random(f"{tenant}'s rows")
        for table, rows in (
            ("permits", _permits(count)),
            ("permit_addresses", _addresses(count)),
            ("events", _events(dice, count)),
            ("lake_objects", _objects()),
            ("open_data_imports", _imports(dice)),
            ("service_requests", _requests(dice, count // 2)),
            ("service_request_changes", _changes(dice, count // 2)),
        ):
            await _write(admin, dice, tenant, table, rows)
        await admin.execute(
            "INSERT INTO tenants.tenant_profiles (tenant_id, company_name, admin_email, status) "
            "VALUES ($1, $1, 'a@example.com', 'active') ON CONFLICT DO NOTHING",
            tenant,
        )
    await admin.execute(f"ANALYZE {', '.join(f'lakefront.{table}' for table in _ANALYZED)}")


async def _write(
    admin: "asyncpg.Connection[Any]", dice: random.Random, tenant: str, table: str, rows: Iterator[Row]
) -> None:
    """Fill in the columns that ``rows`` leave open, and write them."""
    columns = [tuple(row) for row in await admin.fetch(_COLUMNS, table)]
    records = []
    for fixed in rows:
        row = {"tenant_id": tenant, **fixed}
        for name, kind, nullable in columns:
            if name not in row:
                row[name] = None if nullable and dice.random() < 0.25 else _any(dice, kind)
        records.append(tuple(row[name] for name, _, _ in columns))
    names = ", ".join(f'"{name}"' for name, _, _ in columns)
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    await admin.executemany(f"INSERT INTO lakefront.{table} ({names}) VALUES ({places})", records)


def _any(dice: random.Random, kind: str) -> Any:
    """A value of PostgreSQL's type ``kind``."""
    moment = _START + timedelta(days=dice.randrange(9), microseconds=dice.choice((0, 0, 500_000, 100, 1)))
    values: Mapping[str, Any] = {
        "integer": dice.choice((0, 1, 1, 2, 3, -1, 1000, 1000, 2**31 - 1, -(2**31))),
        "smallint": 0,
        "bigint": 0,
        "boolean": dice.random() < 0.5,
        "double precision": dice.choice(_PLACES),
        "ARRAY": dice.choice(([], ["state"], ["state", "resolution"])),
        "date": (_START + timedelta(days=dice.randrange(40))).date(),
        "timestamp with time zone": moment,
        "jsonb": "{}",
        "text": dice.choice(_TEXTS),
    }
    return values[kind]


def _permits(count: int) -> Iterator[Row]:
    for number in range(count):
        yield {"permit_id": _id(number), "field_versions": "{}"}


def _addresses(count: int) -> Iterator[Row]:
    for number in range(count):
        for place in range(number % 4):
            yield {"permit_id": _id(number), "address_id": f"A{place}", "rank": 0, "offset": 0}


def _events(dice: random.Random, count: int) -> Iterator[Row]:
    """Up to seven of each permit, and some of permits that are not known; most share their time with another."""
    kinds = [member.value for member in PermitEventType]
    for number in range(count + 5):
        for place in range(number % 8):
            far = place == 6
            yield {
                "stream": STREAM,
                "shard": number % 2,
                "offset": (2**53 + number if far else number * 10 + place),
                "event_id": f"E{number}-{place}",
                "event_type": kinds[dice.randrange(len(kinds))],
                "partition_key": _id(number),
                "occurred_at": _START + timedelta(hours=place // 2, microseconds=dice.choice((0, 0, 0, 120))),
                "payload": json.dumps(_payload(dice, number)),
            }


def _payload(dice: random.Random, number: int) -> Any:
    text = dice.choice(_TEXTS)
    return dice.choice(
        (
            {"n": number, "text": text, "price": 1.5, "nested": {"b": [1, None, text], "a": {}}},
            {"big": 2**53 - 1, "small": 1e-7, "whole": 2.0, "minus": -0.5, text: text},
            [],
            text,
            True,
        )
    )


def _requests(dice: random.Random, count: int) -> Iterator[Row]:
    """Some of them of somebody's, some of nobody's; some share a place with an address of a permit's."""
    for number in range(count):
        known = number % 4 > 0
        yield {
            "request_id": _id(number),
            "owner": OWNERS[number % 3],
            "source": ("lakefront", "open_data")[number % 2],
            "state": dice.choice([member.value for member in State]),
            "latitude": dice.choice(_PLACES) if known else None,
            "longitude": dice.choice(_PLACES) if known else None,
        }


def _changes(dice: random.Random, count: int) -> Iterator[Row]:
    """Up to four of each request."""
    states = [member.value for member in State]
    for number in range(count):
        for version in range(1, number % 5 + 1):
            yield {
                "request_id": _id(number),
                "version": version,
                "owner": OWNERS[number % 3],
                "event_type": dice.choice([member.value for member in EventType]),
                "previous_state": dice.choice([None, *states]),
                "state": dice.choice(states),
            }


def _imports(dice: random.Random) -> Iterator[Row]:
    """Some with rows that were skipped; those under way are of different data sets."""
    for number in range(9):
        problem = {"row": f"{number}", "field": dice.choice((None, "name")), "message": dice.choice(_TEXTS)}
        yield {
            "import_id": f"i{number}",
            "dataset": f"set{number}",
            "state": ("QUEUED", "RUNNING", "DONE", "FAILED", "CANCELLED")[number % 5],
            "problems": json.dumps([problem] * (number % 3)),
            "lease": None,
        }


def _objects() -> Iterator[Row]:
    for number in range(8):
        yield {
            "stream": STREAM,
            "shard": number % 2,
            "from_offset": number * 10,
            "until_offset": number * 10 + 10,
            "event_count": 10,
            "key": f"{STREAM}/{number}",
            "compression": ("gzip", "zstd")[number % 2],
            "sha256": f"{number:064x}",
            "stored_bytes": 2**40 + number,
            "raw_bytes": 2**62 + number,
        }


def _id(number: int) -> str:
    """Most are plain; some are hard to pack into ids and cursors."""
    start = ("P'\"\\", "ünï/+=", "𝄞")[number % 50] if number % 50 < 3 and number > 3 else "P"
    return f"{start}{number:03d}"
