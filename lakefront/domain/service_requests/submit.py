"""Submitting a request: stored here at once, told to its city by the outbox (C2, C3)."""

from base64 import b32encode
from contextlib import suppress
from datetime import UTC, datetime
from secrets import token_bytes
from typing import Any, Final
from uuid import uuid5

import msgspec

from lakefront import tracing
from lakefront.actor import SERVICE_REQUESTS_CREATE, Actor
from lakefront.db.database import Transaction
from lakefront.domain import idempotency
from lakefront.domain.cities import require_city
from lakefront.domain.outbox import NewJob, enqueue
from lakefront.domain.service_requests.changes import Doing, step, write
from lakefront.domain.service_requests.checks import check_submission
from lakefront.domain.service_requests.filing import new_request, taker
from lakefront.domain.service_requests.reading import read_one
from lakefront.domain.service_requests.request import (
    JOBS,
    SUBMIT,
    Changed,
    Origin,
    Report,
    ServiceRequest,
    State,
    SubmitInput,
    Submitted,
)
from lakefront.domain.service_requests.states import Cause
from lakefront.domain.services import Services
from lakefront.errors import NotConfigured

CHANNEL: Final = "LAKEFRONT"
"""How a request came in, where nobody says."""


class DryRun(Exception):
    """Everything was done, nothing is to stay."""


async def submit(
    services: Services,
    actor: Actor,
    given: SubmitInput,
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
    trace_id: str | None = None,
) -> Submitted:
    """Store what is ``given`` as PENDING_EXTERNAL, and have it filed with its city: all of it, or none.

    Needs the scope service_requests:create; the request is the actor's own. The same idempotency key again gives the
    same request, as it stands by then. Raises ``ValidationError`` (also where the city would refuse it for what it
    lacks), ``NotConfigured`` where no system of the city takes requests, ``Forbidden``, ``IdempotencyConflict``,
    ``Unavailable``.
    """
    actor.require(SERVICE_REQUESTS_CREATE)
    check_submission(given)
    system = await taker(services, actor.tenant, given.city, given.provider)
    doing = Doing.of(actor, Cause.OWNER, trace_id or tracing.new_trace_id())
    made: ServiceRequest | None = None

    async def run() -> str:
        nonlocal made
        await require_city(transaction, actor.tenant, given.city)
        if isinstance(system, NotConfigured):
            raise system
        made = _request(actor, given, system.provider, doing.trace_id)
        system.check(new_request(made, given.caller))
        made = await _put(transaction, actor.tenant, made, given, doing)
        return made.request_id

    with suppress(DryRun):
        async with services.database.transaction(actor.tenant) as transaction:
            key = None if dry_run else idempotency_key
            body = services.endpoints.keys.fingerprint(msgspec.json.encode(given))
            request_id = await idempotency.once_within(transaction, actor, "submitServiceRequest", key, body, run)
            if dry_run:
                raise DryRun
            made = made or await read_one(transaction, actor.tenant, request_id)
    assert made is not None
    return Changed(made, Report(changes=1, quota=0, outside_calls=1) if dry_run else None)


async def enqueue_filing(transaction: Transaction, tenant: str, request: ServiceRequest) -> None:
    """Have ``request`` filed, in the transaction that makes it PENDING_EXTERNAL; once for each version."""
    which = f"{tenant}|{request.request_id}|{request.version}"
    job = NewJob(
        kind=SUBMIT,
        key=request.request_id,
        provider=request.provider,
        city=request.city,
        payload={"request_id": request.request_id, "version": request.version},
        trace_id=request.trace_id,
        job_id=uuid5(JOBS, which),
    )
    await enqueue(transaction, tenant, job)


async def _put(
    transaction: Transaction, tenant: str, request: ServiceRequest, given: SubmitInput, doing: Doing
) -> ServiceRequest:
    made = step(None, request, doing)
    assert made is not None
    await write(transaction, tenant, [made])
    if given.caller is not None:
        await transaction.execute(
            "INSERT INTO lakefront.service_request_callers "
            "(tenant_id, request_id, notify, first_name, last_name, phone, email) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            *(tenant, made.new.request_id, given.notify, *msgspec.structs.astuple(given.caller)),
        )
    await enqueue_filing(transaction, tenant, made.new)
    return made.new


def _request(actor: Actor, given: SubmitInput, provider: str, trace_id: str) -> ServiceRequest:
    now = datetime.now(UTC)
    told: dict[str, Any] = {
        name: value
        for name, value in msgspec.structs.asdict(given).items()
        if name not in {"caller", "notify", "provider", "attributes"}
    }
    return ServiceRequest(
        **told | {"channel": given.channel or CHANNEL},
        request_id=f"sr-{b32encode(token_bytes(13)).decode().lower()[:20]}",
        provider=provider,
        source=Origin.LAKEFRONT,
        owner=actor.subject,
        state=State.PENDING_EXTERNAL,
        state_at=now,
        reported_at=now,
        updated_at=now,
        version=0,
        trace_id=trace_id,
        attributes={code: list(values) for code, values in given.attributes.items()},
    )
