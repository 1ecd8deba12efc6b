"""The current permit, folded from its events (P2).

Every field is a register: it holds the value of the event with the greatest version (occurred_at, life-cycle rank,
offset) that carried it. So late and out-of-order events never move a permit back, a part that only an older event told
is kept, and folding the log again gives the same rows in whatever batches it is read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from lakefront.db.database import Transaction
from lakefront.db.tables.permits import permit_addresses, permits
from lakefront.eventlog.projections.runner import Projection

STREAM: Final = "sf-permit-events"
"""The permits' stream."""

Version = tuple[int, int, int]
"""(occurred_at in microseconds since the epoch, rank, offset)."""

RANKS: Final[Mapping[str, int]] = {
    "permit_filed": 10,
    "inspector_assignment": 20,
    "permit_issued": 30,
    "inspection_scheduled": 40,
    "inspection_completed": 50,
    "permit_completed": 60,
    "permit_expired": 70,
    "permit_cancelled": 80,
    "status_change": 90,
}
"""Which of two events of the same moment is the later one: most real events of one permit share a date."""

_STATUS: Final[Mapping[str, tuple[str, str | None]]] = {
    "permit_filed": ("filed", "filed_at"),
    "permit_issued": ("issued", "issued_at"),
    "permit_completed": ("complete", "completed_at"),
    "permit_expired": ("expired", None),
    "permit_cancelled": ("cancelled", None),
}
"""What a life-cycle event says by itself: the status, in the source's own words, and the column of its moment."""

_OWN: Final = {"tenant_id", "permit_id", "updated_at", "field_versions"}
_STORED: Final = [str(column.name) for column in permits.columns if column.computed is None]
_ADDRESS: Final = [str(column.name) for column in permit_addresses.columns]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


_DERIVED: Final = {"status", "status_at", "filed_at", "issued_at", "completed_at", "inspector"} | {
    column.name for column in permits.columns if column.name.startswith("inspection_")
}
_DETAILS: Final = {_camel(name): name for name in _STORED if name not in _OWN | _DERIVED}
_ADDRESS_DATA: Final = {
    _camel(name): name for name in _ADDRESS if name not in {"tenant_id", "permit_id", "occurred_at", "rank", "offset"}
}


_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class PermitState:
    """A permit while events are folded into it; values are in JSON form."""

    values: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    addresses: dict[str, tuple[Version, dict[str, Any]]] = field(default_factory=dict)
    updated_at: datetime = _NEVER

    def take(self, event: Mapping[str, Any]) -> None:
        """Fold one row of the log (offset, event_type, occurred_at, ingested_at, payload) in; order does not matter."""
        version = _version(event)
        for name, value in changes(event["event_type"], event["occurred_at"], event["payload"]).items():
            if version > self.versions.get(name, (-(2**63), 0, 0)):
                self.values[name], self.versions[name] = value, version
        for address in event["payload"].get("addresses") or ():
            held = self.addresses.get(address["addressId"])
            if held is None or version > held[0]:
                self.addresses[address["addressId"]] = (version, address)
        self.updated_at = max(self.updated_at, event["ingested_at"])


def _version(event: Mapping[str, Any]) -> Version:
    occurred_at: datetime = event["occurred_at"]
    since = occurred_at - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return microseconds, RANKS[event["event_type"]], event["offset"]


def changes(event_type: str, occurred_at: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    """What an event writes: column -> value in JSON form."""
    moment = occurred_at.isoformat()
    if event_type == "status_change":
        return {"status": data["newStatus"], "status_at": moment}
    if event_type == "inspector_assignment":
        return _present(data, {"inspector": "inspector", "inspectionType": "inspection_type"})
    if event_type == "inspection_scheduled":
        told = _present(data, {"inspector": "inspector", "inspectionType": "inspection_type"})
        # The latest inspection is this one from now on: the outcome of an earlier one is not its own.
        blank = {"inspection_completed_at": None, "inspection_result": None}
        return told | blank | {"inspection_scheduled_at": data.get("scheduledFor") or moment}
    if event_type == "inspection_completed":
        told = _present(data, {"inspector": "inspector", "inspectionType": "inspection_type"})
        return told | {"inspection_completed_at": moment, "inspection_result": data.get("result")}
    status, column = _STATUS[event_type]
    told = _present(data, _DETAILS) | {"status": status, "status_at": moment}
    return told | {column: moment} if column else told


def _present(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {column: data[name] for name, column in names.items() if name in data}


async def project(transaction: Transaction, tenant: str, events: Iterable[Mapping[str, Any]]) -> None:
    """Fold rows of the log into the tables, within ``transaction``."""
    by_permit: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        by_permit.setdefault(event["partition_key"], []).append(event)
    states = await _load(transaction, tenant, list(by_permit))
    for permit_id, its in by_permit.items():
        state = states.setdefault(permit_id, PermitState())
        for event in its:
            state.take(event)
    await _save(transaction, tenant, states)


async def _load(transaction: Transaction, tenant: str, permit_ids: list[str]) -> dict[str, PermitState]:
    rows = await transaction.fetch(
        "SELECT row_to_json(p)::jsonb AS row FROM lakefront.permits p "
        "WHERE tenant_id = $1 AND permit_id = ANY($2::text[])",
        tenant,
        permit_ids,
    )
    states = {}
    for (row,) in rows:
        versions = {
            name: (occurred_at, rank, offset)
            for occurred_at, rank, offset, names in row["field_versions"]
            for name in names
        }
        states[row["permit_id"]] = PermitState(
            {name: row[name] for name in versions}, versions, {}, datetime.fromisoformat(row["updated_at"])
        )
    return states


async def _save(transaction: Transaction, tenant: str, states: Mapping[str, PermitState]) -> None:
    rows, addresses = [], []
    for permit_id, state in states.items():
        rows.append(
            {
                **state.values,
                "tenant_id": tenant,
                "permit_id": permit_id,
                "updated_at": state.updated_at.isoformat(),
                "field_versions": _by_version(state.versions),
            }
        )
        for version, address in state.addresses.values():
            addresses.append(_address_row(tenant, permit_id, version, address))
    await transaction.execute(_UPSERT_PERMITS, orjson.dumps(rows))
    if addresses:
        await transaction.execute(_UPSERT_ADDRESSES, orjson.dumps(addresses))


def _by_version(versions: Mapping[str, Version]) -> list[list[Any]]:
    """Field versions as they are stored: one entry an event, with the names of the fields it wrote."""
    names: dict[Version, list[str]] = {}
    for name, version in versions.items():
        names.setdefault(version, []).append(name)
    return [[*version, sorted(fields)] for version, fields in sorted(names.items())]


def _address_row(tenant: str, permit_id: str, version: Version, address: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {column: address.get(name) for name, column in _ADDRESS_DATA.items()}
    microseconds, rank, offset = version
    seconds, rest = divmod(microseconds, 1_000_000)
    occurred_at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
    row |= {"tenant_id": tenant, "permit_id": permit_id, "primary": bool(row["primary"])}
    return row | {"occurred_at": occurred_at.isoformat(), "rank": rank, "offset": offset}


def _upsert(table: str, key: list[str], columns: list[str], condition: str = "") -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    updates = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in key)
    return (
        f"INSERT INTO lakefront.{table} AS held ({names}) "  # noqa: S608 - names of our own tables' columns
        f"SELECT {names} FROM jsonb_populate_recordset(NULL::lakefront.{table}, $1) "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates} {condition}"
    )


_UPSERT_PERMITS: Final = _upsert("permits", ["tenant_id", "permit_id"], _STORED)
_UPSERT_ADDRESSES: Final = _upsert(
    "permit_addresses",
    ["tenant_id", "permit_id", "address_id"],
    _ADDRESS,
    'WHERE (held.occurred_at, held.rank, held."offset") < (excluded.occurred_at, excluded.rank, excluded."offset")',
)


async def clear(transaction: Transaction, tenant: str) -> None:
    """Empty the tables of ``tenant``, before the log is folded anew."""
    for table in ("permits", "permit_addresses"):
        await transaction.execute(f"DELETE FROM lakefront.{table} WHERE tenant_id = $1", tenant)  # noqa: S608


PERMITS: Final = Projection("permits", STREAM, project, clear)
"""The projection as runners run it and readers wait for it."""
