"""The mutations of service requests (C10, C15)."""

from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Self

import strawberry
from strawberry import UNSET

from lakefront.actor import SERVICE_REQUESTS_CREATE, SERVICE_REQUESTS_UPDATE
from lakefront.db.database import Row
from lakefront.domain import service_requests as domain
from lakefront.graphql.by_variable import only_by_variable
from lakefront.graphql.context import Info
from lakefront.graphql.fields import attribute, given, mutation
from lakefront.graphql.reports import DryRunReport
from lakefront.graphql.scalars import timestamp_text
from lakefront.graphql.service_requests.inputs import SubmitServiceRequestInput, UpdateServiceRequestInput
from lakefront.graphql.service_requests.types import ServiceRequest

IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(description="The same key with the same input changes nothing more."),
]
DryRun = Annotated[bool | None, strawberry.argument(description="Check and report, but change nothing.")]


@strawberry.type(description="The request after the mutation; on a dry run, as it would be.")
class ServiceRequestPayload:
    """A request, and on a dry run a report."""

    service_request: ServiceRequest = attribute("The request.")
    report: DryRunReport | None = attribute("On a dry run: what would have been done.")

    @classmethod
    def of(cls, changed: domain.Changed) -> Self:
        """What the use-case gives."""
        told = changed.report
        report = (
            DryRunReport(changes=told.changes, quota=told.quota, outside_calls=told.outside_calls) if told else None
        )
        return cls(service_request=ServiceRequest(row=row_of(changed.service_request)), report=report)


def row_of(request: domain.ServiceRequest) -> Row:
    """The request as its row comes from PostgreSQL: column -> JSON form."""
    return {each.name: _json(getattr(request, each.name)) for each in fields(request)}


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp_text(value)
    return value.value if isinstance(value, Enum) else value


@strawberry.type
class Mutation:
    """What can be done about service requests."""

    @mutation(
        "Report something to a city. It is stored at once, and filed with the city as soon as that answers: "
        "serviceRequestChanged tells when. It is the reporter's own.",
        requires=SERVICE_REQUESTS_CREATE,
        limit="30/minute",
    )
    async def submit_service_request(
        self,
        info: Info,
        request: Annotated[
            SubmitServiceRequestInput,
            strawberry.argument(name="input", description="The request, by a variable: documents are kept."),
        ],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> ServiceRequestPayload:
        """The one use-case, as REST calls it."""
        only_by_variable(info, "input", "A service request")
        changed = await domain.submit(
            info.context.services,
            info.context.actor,
            request.request(),
            idempotency_key=given(idempotency_key),
            dry_run=bool(dry_run),
            trace_id=info.context.trace_id,
        )
        return ServiceRequestPayload.of(changed)

    @mutation(
        "Change a service request here; its city is not told of it. What is no change makes no new version.",
        requires=SERVICE_REQUESTS_UPDATE,
        limit="120/minute",
    )
    async def update_service_request(
        self,
        info: Info,
        change: Annotated[
            UpdateServiceRequestInput, strawberry.argument(name="input", description="Which request, and what of it.")
        ],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> ServiceRequestPayload:
        """The one use-case, as REST calls it."""
        changed = await domain.update(
            info.context.services,
            info.context.actor,
            change.change(),
            idempotency_key=given(idempotency_key),
            dry_run=bool(dry_run),
            trace_id=info.context.trace_id,
        )
        return ServiceRequestPayload.of(changed)
