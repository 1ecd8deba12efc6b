"""The domain's enums as GraphQL's: take them from here, so that they are described before any type uses them."""

from lakefront.domain.permits import PermitEventType
from lakefront.eventlog.events import Outcome
from lakefront.graphql.declare import described

__all__ = ["Outcome", "PermitEventType"]

described(
    PermitEventType,
    "What may happen to a permit.",
    {
        PermitEventType.STATUS_CHANGE: "Its status changed.",
        PermitEventType.INSPECTOR_ASSIGNMENT: "An inspector was assigned to it.",
        PermitEventType.PERMIT_FILED: "It was applied for.",
        PermitEventType.PERMIT_ISSUED: "It was issued.",
        PermitEventType.INSPECTION_SCHEDULED: "An inspection was scheduled.",
        PermitEventType.INSPECTION_COMPLETED: "An inspection was completed.",
        PermitEventType.PERMIT_COMPLETED: "Its work was completed.",
        PermitEventType.PERMIT_EXPIRED: "It expired.",
        PermitEventType.PERMIT_CANCELLED: "It was cancelled or withdrawn.",
    },
)

described(
    Outcome,
    "What became of an event.",
    {
        Outcome.ACCEPTED: "It is in the log.",
        Outcome.DUPLICATE: "It was in the log before, with the same content; nothing changed.",
        Outcome.CONFLICT: "Another event with the same id is in the log; this one is not.",
        Outcome.REJECTED: "It is not valid; see field and reason.",
    },
)
