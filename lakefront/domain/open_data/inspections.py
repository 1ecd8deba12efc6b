"""Food inspections: the published rows in a table of their own, so that they can be asked for and counted (C5)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from lakefront.db.database import Transaction
from lakefront.db.tables.open_data import food_inspections
from lakefront.domain.open_data.rows import Entry

NOT_YET: Final = "1900-01-01"
"""The day that the publisher gives to restaurants that nobody has inspected so far."""

_TEXTS: Final[Mapping[str, str]] = {
    "restaurant_id": "camis",
    "restaurant_name": "dba",
    "cuisine": "cuisine_description",
    "building": "building",
    "street": "street",
    "borough": "boro",
    "postal_code": "zipcode",
    "community_board": "community_board",
    "inspection_type": "inspection_type",
    "action": "action",
    "violation_code": "violation_code",
    "violation": "violation_description",
    "grade": "grade",
}
"""Column -> the publisher's, as text. The restaurant's telephone is left to the stream."""

_CRITICAL: Final = {"critical": True, "not critical": False}

_COLUMNS: Final = [str(column.name) for column in food_inspections.columns]
_NAMES: Final = ", ".join(_COLUMNS)
_UPDATES: Final = ", ".join(
    f"{name} = excluded.{name}" for name in _COLUMNS if name not in {"tenant_id", "inspection_id"}
)
_UPSERT: Final = (
    f"INSERT INTO lakefront.food_inspections AS held ({_NAMES}) "  # noqa: S608 - names of our own table's columns
    f"SELECT {_NAMES} FROM jsonb_populate_recordset(NULL::lakefront.food_inspections, $1) "
    f"ON CONFLICT (tenant_id, inspection_id) DO UPDATE SET {_UPDATES} WHERE held.updated_at <= excluded.updated_at"
)


def rows(tenant: str, city: str, entries: Iterable[Entry]) -> bytes:
    """The table's rows that ``entries`` make, as JSON; for thousands of them it is work for a thread."""
    return orjson.dumps([_row(tenant, city, entry) for entry in entries])


async def store(transaction: Transaction, rows: bytes) -> None:
    """Put the rows in place of those of the same key; an older one never over a newer one."""
    await transaction.execute(_UPSERT, rows)


def _row(tenant: str, city: str, entry: Entry) -> dict[str, Any]:
    told = entry.columns
    placed = told.get("latitude") and told.get("longitude")  # zero stands for a place that is not known
    inspected_on = told["inspection_date"]
    return {
        "tenant_id": tenant,
        "inspection_id": entry.key,
        "city": city,
        **{name: _text(told.get(theirs)) for name, theirs in _TEXTS.items()},
        "latitude": told["latitude"] if placed else None,
        "longitude": told["longitude"] if placed else None,
        "inspected_on": None if inspected_on == NOT_YET else inspected_on,
        "critical": _CRITICAL.get(str(told.get("critical_flag", "")).lower()),
        "score": told.get("score"),
        "graded_on": told.get("grade_date"),
        "updated_at": entry.updated_at.isoformat(),
    }


def _text(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None
