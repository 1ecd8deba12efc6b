"""Writing requests: the row, its line in the history, and what the log is to be told, all in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from lakefront.actor import Actor, Kind
from lakefront.db.database import Transaction
from lakefront.domain.service_requests.request import EventType, Origin, ServiceRequest, State, member
from lakefront.domain.service_requests.states import Cause

CHANNEL: Final = "lakefront_service_requests"
"""NOTIFY channel: a tenant's requests changed; the payload is the tenant."""

OURS: Final = frozenset({"version", "updated_at", "checked_at", "trace_id", "state_at", "told_at"})
"""Columns that are no change by themselves."""

PART: Final = 500
"""Changes that are written by one statement: some milliseconds of making its text."""

_TOLD: Final[Mapping[str, str]] = {
    "request_id": "requestId",
    "version": "version",
    "city": "city",
    "provider": "provider",
    "source": "source",
    "state": "state",
    "external_id": "externalId",
    "external_status": "externalStatus",
    "agency": "agency",
    "agency_name": "agencyName",
    "service_code": "serviceCode",
    "complaint_type": "complaintType",
    "borough": "borough",
    "community_board": "communityBoard",
    "postal_code": "postalCode",
    "channel": "channel",
    "reported_at": "reportedAt",
    "filed_at": "filedAt",
    "closed_at": "closedAt",
    "expected_at": "expectedAt",
    "resolution_at": "resolutionAt",
    "test": "test",
    "error_code": "errorCode",
}
"""What the log is told of a request: column to member. Nothing that somebody wrote freely, and no place."""

_WRITE: Final = """
INSERT INTO lakefront.service_requests SELECT * FROM jsonb_populate_recordset(NULL::lakefront.service_requests, $1)
ON CONFLICT (tenant_id, request_id) DO UPDATE SET ({columns}) = ROW ({values})
"""
_NOTE: Final = """
INSERT INTO lakefront.service_request_changes
SELECT * FROM jsonb_populate_recordset(NULL::lakefront.service_request_changes, $1)
"""
_RELAY: Final = """
WITH due AS (
  INSERT INTO lakefront.service_request_relay (tenant_id, request_id, version)
  SELECT $1, request_id, version FROM unnest($2::text[], $3::bigint[]) AS due (request_id, version) RETURNING 1)
SELECT pg_notify($4, $1) FROM due LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Doing:
    """What a change is: whose doing, and the trace that it belongs to. ``by``: a subject, where it was somebody's."""

    cause: Cause
    trace_id: str
    by: str | None = None
    on_behalf_of: str | None = None

    @classmethod
    def of(cls, actor: Actor, cause: Cause, trace_id: str) -> "Doing":
        """The doing of ``actor``; of the server itself nobody's."""
        by = None if actor.kind is Kind.SERVICE else actor.subject
        return cls(cause, trace_id, by, actor.on_behalf_of)


@dataclass(frozen=True, slots=True)
class Step:
    """A change: ``old`` is locked by the transaction, None where the request is new; ``new`` has the next version."""

    old: ServiceRequest | None
    new: ServiceRequest
    event: EventType
    fields: tuple[str, ...]
    doing: Doing


def step(old: ServiceRequest | None, new: ServiceRequest, doing: Doing, event: EventType | None = None) -> Step | None:
    """The change from ``old`` to ``new``, which gets its version and time; None where nothing of note differs."""
    was = {} if old is None else old.values()
    names = tuple(
        name
        for name, value in new.values().items()
        if name not in OURS
        and (value != was[name] if old else value is not None and value is not False and value != {})
    )
    if old is not None and not names:
        return None
    version = 1 if old is None else old.version + 1
    made = replace(new, version=version, updated_at=datetime.now(UTC), trace_id=doing.trace_id)
    return Step(old, made, event or _event(old, made), names, doing)


async def write(transaction: Transaction, tenant: str, steps: Sequence[Step]) -> None:
    """Write the changes of different requests. The log is told of them once they are committed."""
    for start in range(0, len(steps), PART):
        await _write(transaction, tenant, steps[start : start + PART])


async def _write(transaction: Transaction, tenant: str, steps: Sequence[Step]) -> None:
    rows = [{"tenant_id": tenant, **each.new.values()} for each in steps]
    columns = ", ".join(f'"{name}"' for name in rows[0])
    values = ", ".join(f'EXCLUDED."{name}"' for name in rows[0])
    await transaction.execute(_WRITE.format(columns=columns, values=values), orjson.dumps(rows))
    await transaction.execute(_NOTE, orjson.dumps(list(_notes(tenant, steps))))
    ids, versions = [each.new.request_id for each in steps], [each.new.version for each in steps]
    await transaction.execute(_RELAY, tenant, ids, versions, CHANNEL)


async def change(
    transaction: Transaction, tenant: str, old: ServiceRequest, values: Mapping[str, Any], doing: Doing
) -> ServiceRequest:
    """``old``, which the transaction has locked, with ``values``: a version more, or ``old`` where nothing differs."""
    made = step(old, replace(old, **values), doing)
    if made is None:
        return old
    await write(transaction, tenant, [made])
    return made.new


def _event(old: ServiceRequest | None, new: ServiceRequest) -> EventType:
    if old is None:
        return EventType.SUBMITTED if new.source is Origin.LAKEFRONT else EventType.RECORDED
    if old.state is new.state:
        return EventType.CHANGED
    match new.state:
        case State.CLOSED:
            return EventType.CLOSED
        case State.REJECTED:
            return EventType.REJECTED
        case State.UNCERTAIN:
            return EventType.UNCERTAIN
        case _:
            filed = old.filed_at is None and new.filed_at is not None
            return EventType.FILED if filed else EventType.CHANGED


def _notes(tenant: str, steps: Iterable[Step]) -> Iterable[dict[str, Any]]:
    for each in steps:
        new, doing = each.new, each.doing
        yield {
            "tenant_id": tenant,
            "request_id": new.request_id,
            "version": new.version,
            "event_type": each.event,
            "changed_at": new.updated_at,
            "cause": doing.cause,
            "changed_by": doing.by,
            "on_behalf_of": doing.on_behalf_of,
            "owner": new.owner,
            "previous_state": each.old and each.old.state,
            "state": new.state,
            "fields": each.fields,
            "payload": _payload(each),
            "trace_id": doing.trace_id,
        }


def _payload(each: Step) -> dict[str, Any]:
    """What the log is told: the request without anybody's data, where it stood, and the names of what changed."""
    told = {member: getattr(each.new, column) for column, member in _TOLD.items()}
    told |= {
        "previousState": each.old and each.old.state,
        "cause": each.doing.cause,
        "changed": sorted(member(name) for name in each.fields),
    }
    return {name: value for name, value in told.items() if value is not None}
