"""The pipelines' numbers through the schema."""

import asyncio
from contextlib import aclosing

import pytest

from lakefront.actor import Actor
from lakefront.domain import permits
from lakefront.domain.services import Services
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from tests.actors import of_role
from tests.domain.permits.events import text

MEASURE = """
query ($minutes: Int, $timeRange: TimeRange) {
  pipelineMetrics(stream: "sf-permit-events", minutes: $minutes, timeRange: $timeRange) {
    stream from to requests failedRequests errorRate eventsReceived accepted duplicates rejected rejectionRate
    eventsPerSecond batches eventsPerBatch processingLatency { averageSeconds sealAverageSeconds sealMaxSeconds }
    objects storedBytes rawBytes storedBytesAdded rawBytesAdded lag { consumer events seconds }
    stepSeconds points { start requests failedRequests accepted duplicates rejected averageSeconds }
  }
}
"""
WATCH = 'subscription { metricsUpdated(stream: "sf-permit-events", every: 1) { accepted } }'
MONITOR = of_role("monitor")


@pytest.fixture
def operations(services: Services) -> Operations:
    return Operations(build_schema(), services, Context.for_operation, permission)


async def test_the_numbers(operations: Operations, services: Services, actor: Actor) -> None:
    await permits.ingest(services, actor, [text(), b"{}"])
    answer = await operations.execute(OperationRequest(MEASURE), MONITOR, "trace")
    assert not answer.errors
    found = answer.data["pipelineMetrics"]
    assert found["stream"] == "sf-permit-events"
    assert (found["requests"], found["eventsReceived"], found["accepted"]) == ("1", "2", "1")
    assert (found["errorRate"], found["rejectionRate"]) == (0.0, 0.5)
    assert found["eventsPerBatch"] is None
    assert found["processingLatency"]["averageSeconds"] > 0
    assert found["processingLatency"]["sealAverageSeconds"] is None
    assert [lag["consumer"] for lag in found["lag"]] == ["permits", "lake"]
    [point] = found["points"]
    assert (point["accepted"], found["stepSeconds"]) == ("1", 60)


async def test_ranges_and_refusals(operations: Operations) -> None:
    async def ask(document: str, **variables: object) -> tuple[object, str]:
        answer = await operations.execute(OperationRequest(document, variables=variables), MONITOR, "trace")
        return answer.data, answer.errors[0]["extensions"]["code"] if answer.errors else ""

    assert await ask(MEASURE, minutes=0) == (None, "VALIDATION_ERROR")
    assert await ask(MEASURE, timeRange={"from": "2020-01-01T00:00:00Z"}) == (None, "VALIDATION_ERROR")
    assert await ask('{ pipelineMetrics(stream: "nothing") { requests } }') == (None, "NOT_FOUND")
    data, code = await ask(MEASURE, minutes=1440)
    assert (data is not None, code) == (True, "")
    reader = of_role("reader")
    answer = await operations.execute(OperationRequest(MEASURE), reader, "trace")
    assert answer.errors
    assert answer.errors[0]["extensions"]["code"] == "FORBIDDEN"


async def test_the_subscription(operations: Operations, services: Services, actor: Actor) -> None:
    async with (
        asyncio.timeout(20),
        aclosing(operations.subscribe(OperationRequest(WATCH), MONITOR, "trace")) as answers,
    ):
        assert (await anext(answers)).data == {"metricsUpdated": {"accepted": "0"}}
        await permits.ingest(services, actor, [text()])
        assert (await anext(answers)).data == {"metricsUpdated": {"accepted": "1"}}


async def test_a_subscription_to_nothing_ends_with_the_reason(operations: Operations) -> None:
    document = 'subscription { metricsUpdated(stream: "nothing") { accepted } }'
    answers = [answer async for answer in operations.subscribe(OperationRequest(document), MONITOR, "trace")]
    [answer] = answers
    assert not answer.executed
    assert answer.errors
    assert answer.errors[0]["extensions"]["code"] == "NOT_FOUND"
