"""One document joins tables, two domains and outside systems; a slow or dead one leaves the rest its data (X3)."""

from typing import Any
from unittest.mock import patch

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from tests.complaints import publish, published
from tests.graphql.conftest import Ask, asking

PROVIDERS = "geoclient mapbox openweather"
DOCUMENT = """{
  permits(first: 2, filter: {permitId: {in: ["P010", "P011"]}}) { nodes {
    permitId serviceRequests(meters: 300) { totalCount nodes { requestId state } } } }
  here: geocode(address: "260 Broadway", city: "nyc") { label provenance { source asOf stale } }
  there: geocode(address: "12 Main Street", city: "bos") { label }
  weather(point: {latitude: 40.71, longitude: -74.01}) { condition provenance { source } }
}"""


@pytest.fixture
async def ask(reaching: Services, actor: Actor, city: None) -> Ask:
    await publish(reaching, published(0, latitude=37.7105, longitude=-122.4))
    return asking(reaching, actor, compiled=True)


def rows(answer: dict[str, Any]) -> Any:
    """What is from tables: two permits and the request between them."""
    near = {"totalCount": 1, "nodes": [{"requestId": "nyc311-000", "state": "OPEN"}]}
    expected = [{"permitId": name, "serviceRequests": near} for name in ("P010", "P011")]
    return answer["data"]["permits"]["nodes"] == expected


async def test_all_of_it(ask: Ask) -> None:
    answer = await ask(DOCUMENT)
    assert "errors" not in answer, answer
    assert rows(answer)
    [here] = answer["data"]["here"]
    assert (here["provenance"]["source"], here["provenance"]["stale"]) == ("geoclient", False)
    assert answer["data"]["weather"]["provenance"] == {"source": "openweather"}
    assert answer["data"]["there"]


async def test_one_slow_and_one_dead(ask: Ask, simulator: Simulator) -> None:
    simulator.faults.add(Fault(kind=Kind.LATENCY, seconds=1.0, system="mapbox"))
    simulator.faults.add(Fault(kind=Kind.ERROR, system="openweather"))
    with patch("lakefront.domain.answers.PATIENCE", 0.3):
        answer = await ask(DOCUMENT)
    assert rows(answer)
    assert answer["data"]["here"][0]["provenance"]["source"] == "geoclient"
    assert (answer["data"]["there"], answer["data"]["weather"]) == (None, None)
    found = {tuple(error["path"]): error["extensions"]["code"] for error in answer["errors"]}
    assert found.keys() == {("there",), ("weather",)}
    assert found["weather",] == "UPSTREAM_ERROR"
