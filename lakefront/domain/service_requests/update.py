"""Staff's changes of a request (C10, C15)."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET

from lakefront import tracing
from lakefront.actor import SERVICE_REQUESTS_UPDATE, Actor
from lakefront.db.database import Transaction
from lakefront.domain import idempotency
from lakefront.domain.cities import invalid
from lakefront.domain.outbox import abandon
from lakefront.domain.service_requests.changes import Doing, change
from lakefront.domain.service_requests.checks import check_update
from lakefront.domain.service_requests.filing import forget_caller, standing_of
from lakefront.domain.service_requests.reading import not_found, read_one
from lakefront.domain.service_requests.request import (
    SUBMIT,
    Changed,
    Report,
    ServiceRequest,
    State,
    UpdateInput,
    member,
)
from lakefront.domain.service_requests.states import (
    AT_THE_CITY,
    ENDED,
    TRANSITIONS,
    Cause,
    Standing,
    Word,
    after,
    allowed,
)
from lakefront.domain.service_requests.submit import DryRun, enqueue_filing
from lakefront.domain.services import Services
from lakefront.errors import Conflict

_BEFORE_FILING: Final = frozenset({"description", "agency"})
"""What the city is told of: once it has the request, it is the city's."""


async def update(
    services: Services,
    actor: Actor,
    given: UpdateInput,
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
    trace_id: str | None = None,
) -> Changed:
    """Change the request as ``given``; what is no change makes no version. The city is not told of it.

    To PENDING_EXTERNAL it goes to be filed (again). Needs the scope service_requests:update. Raises ``NotFound``,
    ``ValidationError``, ``Conflict`` (another version, a state that it cannot go to, what is the city's by now),
    ``Forbidden``, ``IdempotencyConflict``, ``Unavailable``.
    """
    actor.require(SERVICE_REQUESTS_UPDATE)
    check_update(given)
    doing = Doing.of(actor, Cause.STAFF, trace_id or tracing.new_trace_id())
    old: ServiceRequest | None = None
    made: ServiceRequest | None = None

    async def run() -> str:
        nonlocal old, made
        old = await read_one(transaction, actor.tenant, given.request_id, lock=True)
        if old is None:
            raise not_found()
        made = await _write(transaction, actor, old, given, doing)
        return made.request_id

    with suppress(DryRun):
        async with services.database.transaction(actor.tenant) as transaction:
            key = None if dry_run else idempotency_key
            body = services.endpoints.keys.fingerprint(msgspec.json.encode(given))
            request_id = await idempotency.once_within(transaction, actor, "updateServiceRequest", key, body, run)
            if dry_run:
                raise DryRun
            made = made or await read_one(transaction, actor.tenant, request_id)
    assert made is not None
    if not dry_run:
        return Changed(made)
    assert old is not None
    refiled = old.state is not made.state and made.state is State.PENDING_EXTERNAL
    return Changed(made, Report(changes=int(made.version != old.version), quota=0, outside_calls=int(refiled)))


async def _write(
    transaction: Transaction, actor: Actor, old: ServiceRequest, given: UpdateInput, doing: Doing
) -> ServiceRequest:
    if given.version is not None and given.version != old.version:
        raise Conflict(f"The request has the version {old.version} by now. Read it again, then decide.")
    values = _values(old, given)
    new = await change(transaction, actor.tenant, old, values, doing)
    if old.filed_at is None and new.state is not old.state:
        await abandon(transaction, actor, SUBMIT, new.request_id)
        if new.state is State.PENDING_EXTERNAL:
            await enqueue_filing(transaction, actor.tenant, new)
        else:
            await forget_caller(transaction, actor.tenant, new.request_id)
    return new


def _values(old: ServiceRequest, given: UpdateInput) -> dict[str, Any]:
    """Column to value, of what is to change; raises ``Conflict`` for what cannot."""
    values: dict[str, Any] = {
        name: value
        for name, value in msgspec.structs.asdict(given).items()
        if value is not UNSET and name not in {"request_id", "version", "state", "external_id"}
    }
    for name in sorted(_BEFORE_FILING & values.keys()):
        if old.filed_at is not None and values[name] != getattr(old, name):
            message = f"The city has this request, with its {name}: that cannot be changed here any more."
            raise Conflict(message, details=[{"field": member(name), "message": message}])
    now = datetime.now(UTC)
    if "resolution" in values and values["resolution"] != old.resolution:
        values["resolution_at"] = now
    return values | _state(_found(old, given, values, now), old, given, now)


def _found(old: ServiceRequest, given: UpdateInput, values: dict[str, Any], now: datetime) -> Standing:
    """Where it stands once the city's number of it, which somebody found, is entered into ``values``."""
    standing = standing_of(old)
    if given.external_id is UNSET or given.external_id == old.external_id:
        return standing
    if old.state is not State.UNCERTAIN:
        raise Conflict(
            "The city's number is entered for requests of which nobody knows whether the city has them (UNCERTAIN).",
            details=[{"field": "externalId", "message": "Leave it out."}],
        )
    if given.state is not UNSET and given.state not in AT_THE_CITY:
        raise invalid("state", "What has a number there is OPEN, IN_PROGRESS or CLOSED. Leave state out for OPEN.")
    values |= {"external_id": given.external_id, "filed_at": now, "error_code": None, "error_message": None}
    return replace(standing, filed=True)


def _state(standing: Standing, old: ServiceRequest, given: UpdateInput, now: datetime) -> dict[str, Any]:
    """Where staff takes it: column to value."""
    found = standing.filed and old.filed_at is None
    state = given.state if given.state is not UNSET else State.OPEN if found else old.state
    if state is old.state:
        return {}
    # Where nobody says how it stands, whatever the city tells is newer.
    word = Word(state, Cause.STAFF, None if given.state is UNSET else now)
    if not allowed(standing, word):
        raise _not_there(standing, state)
    reached = after(standing, word)
    return {
        "state": reached.state,
        "state_at": now,
        "told_at": reached.told_at,
        "closed_at": now if state is State.CLOSED else None,
        **({} if state in ENDED and old.filed_at else {"error_code": None, "error_message": None}),
    }


def _not_there(standing: Standing, state: State) -> Conflict:
    found = TRANSITIONS[Cause.STAFF].get(standing.state, frozenset())
    ways = sorted(each.value for each in found if allowed(standing, Word(each, Cause.STAFF)))
    to = f"From there it can go to {', '.join(ways)}." if ways else "From there it can go nowhere by hand."
    message = f"The request is {standing.state.value}, and cannot become {state.value}. {to}"
    return Conflict(message, details=[{"field": "state", "message": to}])
