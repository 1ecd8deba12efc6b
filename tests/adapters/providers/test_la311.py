"""Los Angeles: the same reference never files twice."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.providers.la311 import La311
from lakefront.adapters.service_requests import NewServiceRequest, Resubmission, State
from lakefront.errors import NotFound, UpstreamRejected, ValidationError
from lakefront.simulator import Fault, Kind, Simulator
from tests.adapters.probe import QUICK

START = datetime(2026, 5, 28, 14, 0, tzinfo=UTC)
SOFA = NewServiceRequest(
    reference="r-1", description="A sofa", service_code="Bulky Items", address="12 Main Street, Los Angeles"
)


@pytest.fixture
async def city() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1, start=START) as simulator:
        yield simulator


@pytest.fixture
async def adapter(city: Simulator) -> AsyncIterator[La311]:
    calls = Calls(policy=QUICK, loopback=True)
    door = next(each for each in city.endpoints() if each["provider"] == "la311")
    yield La311(Endpoint(tenant="city", quota_daily=None, version=1, **door), calls)
    await calls.close()


async def test_filed_told_and_found(city: Simulator, adapter: La311) -> None:
    assert await adapter.find(SOFA, tried_at=START) is None
    filed = await adapter.submit(SOFA)
    assert filed.external_id is not None
    assert (filed.state, filed.agency, filed.reference) == (State.OPEN, "LASAN", "r-1")
    assert filed.created_at is not None
    assert filed.created_at.replace(second=0) == START
    assert await adapter.find(SOFA, tried_at=START) == await adapter.status(filed.external_id)
    city.clock.advance(1_000_000)
    assert (await adapter.status(filed.external_id)).state is State.CLOSED


@pytest.mark.parametrize("kind", [Kind.RESET_AFTER, Kind.ERROR_AFTER, Kind.MALFORMED])
async def test_what_may_have_been_filed_is_filed_again_and_there_once(
    city: Simulator, adapter: La311, kind: Kind
) -> None:
    assert adapter.resubmission is Resubmission.SAFE
    city.faults.set([Fault(kind=kind, probability=1.0, times=2)])
    filed = await adapter.submit(SOFA)
    assert [ticket.id for ticket in city.tickets.filed] == [filed.external_id]
    assert city.journal.tallies["la311"].received == 3


async def test_refusals(adapter: La311) -> None:
    await adapter.submit(SOFA)
    with pytest.raises(UpstreamRejected):
        await adapter.submit(SOFA.model_copy(update={"description": "Another sofa"}))
    with pytest.raises(ValidationError, match="service_code"):
        await adapter.submit(SOFA.model_copy(update={"service_code": None}))
    with pytest.raises(ValidationError, match="in earnest"):
        await adapter.submit(SOFA.model_copy(update={"test": True}))
    with pytest.raises(NotFound):
        await adapter.status("1-0")
    with pytest.raises(ValidationError, match="no tokens"):
        await adapter.identify("token")


async def test_what_can_be_reported(adapter: La311) -> None:
    services = await adapter.services()
    assert ("Pothole", "BSS") in [(each.code, each.agency) for each in services]
    with pytest.raises(NotFound):
        await adapter.definition("Pothole")
