"""The domain's enums as GraphQL's: take them from here, so that they are described before any type uses them."""

from lakefront.domain.service_requests import EventType, Origin, State
from lakefront.graphql.declare import described

__all__ = ["EventType", "Origin", "State"]

described(
    State,
    "Where a service request stands.",
    {
        State.PENDING_EXTERNAL: "It is stored here; its city is being told.",
        State.UNCERTAIN: "Its city may have it, or not: a person has to look there.",
        State.OPEN: "Its city has it.",
        State.IN_PROGRESS: "Its city is at work on it.",
        State.CLOSED: "Its city is done with it.",
        State.REJECTED: "Its city will not do it, or did not take it.",
    },
    name="ServiceRequestState",
)

described(
    Origin,
    "Who filed a service request with its city.",
    {
        Origin.LAKEFRONT: "We did: it was submitted here.",
        Origin.OPEN_DATA: "Somebody else did; the city published it.",
    },
    name="ServiceRequestSource",
)

described(
    EventType,
    "What became of a service request.",
    {
        EventType.SUBMITTED: "It was submitted here.",
        EventType.FILED: "Its city took it.",
        EventType.CHANGED: "Something of it changed.",
        EventType.CLOSED: "Its city is done with it.",
        EventType.REJECTED: "Its city will not do it, or did not take it.",
        EventType.UNCERTAIN: "Its city may have it, or not.",
        EventType.RECORDED: "Its city published it.",
    },
    name="ServiceRequestEventType",
)
