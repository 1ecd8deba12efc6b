"""Service requests (C3, C15): submitted, filed with their city, followed to their end, read by those who may."""

from lakefront.domain.service_requests.changes import CHANNEL
from lakefront.domain.service_requests.handler import Filing
from lakefront.domain.service_requests.poller import Poller
from lakefront.domain.service_requests.reading import find
from lakefront.domain.service_requests.record import record
from lakefront.domain.service_requests.relay import Relay
from lakefront.domain.service_requests.request import (
    STREAM,
    SUBMIT,
    CallerInput,
    Changed,
    EventType,
    Origin,
    Record,
    Recorded,
    RecordOutcome,
    RecordVerdict,
    Report,
    ServiceRequest,
    State,
    SubmitInput,
    Submitted,
    UpdateInput,
)
from lakefront.domain.service_requests.submit import submit
from lakefront.domain.service_requests.update import update

__all__ = [
    "CHANNEL",
    "STREAM",
    "SUBMIT",
    "CallerInput",
    "Changed",
    "EventType",
    "Filing",
    "Origin",
    "Poller",
    "Record",
    "RecordOutcome",
    "RecordVerdict",
    "Recorded",
    "Relay",
    "Report",
    "ServiceRequest",
    "State",
    "SubmitInput",
    "Submitted",
    "UpdateInput",
    "find",
    "record",
    "submit",
    "update",
]
