"""The outbox's jobs that file a request with its city: once, whatever fails in between (C2, C3, ADR 35)."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeGuard

from lakefront.adapters.base311 import Base311Adapter
from lakefront.adapters.service_requests import NewServiceRequest, Resubmission, ServiceRequestDTO
from lakefront.db.database import Transaction
from lakefront.domain import outbox
from lakefront.domain.outbox import Job
from lakefront.domain.service_requests.changes import Doing, change
from lakefront.domain.service_requests.filing import (
    adapter_of,
    forget_caller,
    new_request,
    read_caller,
    standing_of,
    taken,
)
from lakefront.domain.service_requests.reading import read_one
from lakefront.domain.service_requests.request import SUBMIT, CallerInput, ServiceRequest, State
from lakefront.domain.service_requests.states import Cause, Word, allowed
from lakefront.domain.services import Services
from lakefront.errors import (
    LakefrontError,
    RateLimited,
    Unavailable,
    UpstreamError,
    UpstreamRejected,
    UpstreamUncertain,
    ValidationError,
)

APART: Final = timedelta(hours=1)
"""Between two times around which a city is searched: the adapters look an hour before and behind each."""

MOST_SEARCHES: Final = 24
"""Times around which a city is searched at most: what was tried over a longer time is for a person."""

_REFUSED: Final = (UpstreamRejected, ValidationError)


class Filing:
    """Files requests (``service_request.submit``); holds nothing, so that one is enough for all jobs."""

    kind = SUBMIT

    async def run(self, services: Services, job: Job) -> None:
        """As every handler: tell the city of the request, unless it has it, or somebody withdrew it."""
        with outbox.nothing_sent():
            request, caller = await _read(services, job)
            if not _waits(request):
                return await outbox.record(services.database, job, _nothing)
            adapter = await adapter_of(services, job.tenant, request.provider, request.city)
            told = new_request(request, caller)
        try:
            answer = await adapter.submit(told, trace_id=job.trace_id)
        except UpstreamRejected:
            # A city that knows our reference refuses what differs from what it got: corrected since a try went through.
            found = await _search(adapter, told, job) if adapter.resubmission is Resubmission.SAFE else None
            if found is None:
                raise
            answer = found
        return await _record(services, job, answer)

    async def look_up(self, services: Services, job: Job) -> None:
        """As every handler: what the city's system allows, from filing it again to leaving it to a person."""
        request, caller = await _read(services, job)
        if request is None or request.filed_at is not None:
            return await outbox.record(services.database, job, _nothing)
        adapter = await adapter_of(services, job.tenant, request.provider, request.city)
        match adapter.resubmission:
            case Resubmission.SAFE if _waits(request):
                return await self.run(services, job)
            case Resubmission.SAFE | Resubmission.AFTER_LOOKUP:
                found = await _search(adapter, new_request(request, caller), job)
                return await (self._once_more(services, job) if found is None else _record(services, job, found))
            case _:
                raise UpstreamUncertain(
                    f"{adapter.title} may have this request, and cannot be asked. Look there for {request.request_id} "
                    "or its address, then tell by updateServiceRequest: its number (externalId), PENDING_EXTERNAL to "
                    "file it again, or REJECTED."
                )

    async def _once_more(self, services: Services, job: Job) -> None:
        """File what the city surely does not have; where that is in doubt, too, it is looked up again."""
        try:
            await self.run(services, job)
        except UpstreamUncertain as doubt:
            raise UpstreamError(doubt.message, details=doubt.details) from doubt

    async def gave_up(self, transaction: Transaction, job: Job, error: LakefrontError, *, uncertain: bool) -> None:
        """As every handler: refused is REJECTED, in doubt UNCERTAIN; what may still be filed waits as it is."""
        request = await read_one(transaction, job.tenant, _request_id(job), lock=True)
        if not _waits(request):
            return
        doing = Doing(Cause.LAKEFRONT, job.trace_id)
        state = State.UNCERTAIN if uncertain else State.REJECTED if isinstance(error, _REFUSED) else request.state
        if state is not request.state and not allowed(standing_of(request), Word(state, Cause.LAKEFRONT)):
            state = request.state
        values = {"state": state, "error_code": error.code, "error_message": error.message}
        moved = {"state_at": datetime.now(UTC)} if state is not request.state else {}
        await change(transaction, job.tenant, request, values | moved, doing)


async def _read(services: Services, job: Job) -> tuple[ServiceRequest | None, CallerInput | None]:
    async with services.database.transaction(job.tenant) as transaction:
        request = await read_one(transaction, job.tenant, _request_id(job))
        caller = await read_caller(transaction, job.tenant, _request_id(job))
    return request, caller


def _waits(request: ServiceRequest | None) -> TypeGuard[ServiceRequest]:
    """Whether ``request`` is to be filed: refused ones that a person has replayed, too; withdrawn ones not."""
    if request is None or request.filed_at is not None:
        return False
    withdrawn = request.state is State.REJECTED and request.error_code is None
    return not withdrawn


async def _search(adapter: Base311Adapter, request: NewServiceRequest, job: Job) -> ServiceRequestDTO | None:
    """What the city has of ``request``, around all times at which it may have been sent; None: surely nothing.

    Raises ``UpstreamUncertain`` where that cannot be told, and what is worth asking again for.
    """
    at, now = job.first_tried_at or datetime.now(UTC), datetime.now(UTC)
    if now - at > MOST_SEARCHES * APART:
        raise UpstreamUncertain(f"{adapter.title} was tried over more than a day. Look there before it is sent again.")
    while True:
        try:
            found = await adapter.find(request, tried_at=at, trace_id=job.trace_id)
        except (UpstreamError, RateLimited, Unavailable, UpstreamUncertain):
            raise
        except LakefrontError as unknown:
            message = f"{adapter.title} may have this request, and does not tell: {unknown.message}"
            raise UpstreamUncertain(message) from unknown
        if found is not None or at + APART > now:
            return found
        at += APART


async def _record(services: Services, job: Job, told: ServiceRequestDTO) -> None:
    await outbox.record(services.database, job, partial(_write, job=job, told=told))


async def _write(transaction: Transaction, *, job: Job, told: ServiceRequestDTO) -> None:
    """The city has it: what it calls it and where it stands; who reported it is forgotten."""
    request = await read_one(transaction, job.tenant, _request_id(job), lock=True)
    if request is not None:
        await change(transaction, job.tenant, request, taken(request, told), Doing(Cause.CITY, job.trace_id))
        await forget_caller(transaction, job.tenant, request.request_id)


async def _nothing(transaction: Transaction) -> None:
    """There was nothing to do."""


def _request_id(job: Job) -> str:
    return str(job.payload["request_id"])
