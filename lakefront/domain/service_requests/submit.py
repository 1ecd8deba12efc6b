"""Submitting a request: stored here at once, told to its city by the outbox (C2, C3)."""

from lakefront.actor import Actor
from lakefront.domain.service_requests.request import SubmitInput, Submitted
from lakefront.domain.services import Services


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

    Needs the scope service_requests:create; the request is the actor's own. Raises ``ValidationError`` (also where the
    city would refuse it for what it lacks), ``NotConfigured`` where no system of the city takes requests,
    ``Forbidden``, ``IdempotencyConflict``, ``Unavailable``.
    """
    raise NotImplementedError
