"""311's published rows as service requests: one row for each, however it came (C5, C15)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from lakefront.actor import Actor
from lakefront.domain import service_requests
from lakefront.domain.open_data.rows import Entry, Problem
from lakefront.domain.open_data.runs import Run
from lakefront.domain.service_requests import Record, RecordOutcome
from lakefront.domain.services import Services

BATCH: Final = 1000
"""Rows of one transaction."""

_UNKNOWN: Final = frozenset({"", "n/a", "unspecified", "0 unspecified"})
"""What the publisher writes where nothing is known."""


async def record(services: Services, actor: Actor, run: Run, entries: Sequence[Entry]) -> dict[str, Problem]:
    """Have ``entries`` recorded; of those that cannot be, by their keys, why. Raises ``Unavailable``."""
    refused: dict[str, Problem] = {}
    for start in range(0, len(entries), BATCH):
        part = entries[start : start + BATCH]
        records = [_record(run, entry) for entry in part]
        recorded = await service_requests.record(services, actor, records, trace_id=run.trace_id)
        for verdict in recorded.verdicts:
            if verdict.outcome is RecordOutcome.REJECTED:
                key = part[verdict.index].key
                refused[key] = Problem(part[verdict.index].row_id, verdict.field, verdict.reason or "It is not valid.")
    return refused


def _record(run: Run, entry: Entry) -> Record:
    told = entry.columns
    north, east = told.get("latitude"), told.get("longitude")
    placed = bool(north and east)  # zero stands for a place that is not known
    return Record(
        provider=run.data_set.provider,
        city=run.city,
        unique_key=entry.key,
        reported_at=datetime.fromisoformat(told["created_date"]),
        updated_at=entry.updated_at,
        external_status=_text(told, "status"),
        agency=_text(told, "agency"),
        agency_name=_text(told, "agency_name"),
        complaint_type=_text(told, "complaint_type"),
        descriptor=_text(told, "descriptor"),
        location_type=_text(told, "location_type"),
        address=_text(told, "incident_address"),
        street_name=_text(told, "street_name"),
        postal_code=_text(told, "incident_zip"),
        borough=_text(told, "borough"),
        community_board=_text(told, "community_board"),
        latitude=north if placed else None,
        longitude=east if placed else None,
        channel=_text(told, "open_data_channel_type"),
        resolution=_text(told, "resolution_description"),
        resolution_at=_moment(told, "resolution_action_updated_date"),
        closed_at=_moment(told, "closed_date"),
        expected_at=_moment(told, "due_date"),
    )


def _text(told: Mapping[str, Any], name: str) -> str | None:
    text = str(told.get(name, "")).strip()
    return None if text.lower() in _UNKNOWN else text


def _moment(told: Mapping[str, Any], name: str) -> datetime | None:
    value = told.get(name)
    return None if value is None else datetime.fromisoformat(value)
