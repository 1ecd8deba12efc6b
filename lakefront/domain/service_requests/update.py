"""Staff's changes of a request (C10, C15)."""

from lakefront.actor import Actor
from lakefront.domain.service_requests.request import Changed, UpdateInput
from lakefront.domain.services import Services


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

    Needs the scope service_requests:update. Raises ``NotFound``, ``ValidationError``, ``Conflict`` (another version, a
    state that it cannot go to), ``Forbidden``, ``IdempotencyConflict``, ``Unavailable``.
    """
    raise NotImplementedError
