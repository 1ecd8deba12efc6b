"""Requests that cities publish, in batches (C5): a row each, with the newest word on it, however they come."""

from collections.abc import Sequence

from lakefront.actor import Actor
from lakefront.domain.service_requests.request import Record, Recorded
from lakefront.domain.services import Services


async def record(
    services: Services, actor: Actor, records: Sequence[Record], *, dry_run: bool = False, trace_id: str | None = None
) -> Recorded:
    """Write the published ``records`` (at most MOST) in one transaction, and say what became of each.

    Repeating it changes nothing. Needs the scope service_requests:update. Raises ``Forbidden``, ``Unavailable``,
    ``PayloadTooLarge``.
    """
    raise NotImplementedError
