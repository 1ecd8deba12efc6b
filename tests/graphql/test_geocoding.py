"""Places by GraphQL: many addresses in one document, each with its own error, and where each answer comes from (X3)."""

from typing import Any
from unittest.mock import patch

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from tests.actors import of_role
from tests.graphql.conftest import Ask, asking

PROVIDERS = "geoclient mapbox"
FIELDS = "point { latitude longitude } label precision boroughCode postalCode bbl provenance { source asOf stale }"
THREE = f"""
query ($point: PointInput!) {{
  hall: geocode(address: "260 Broadway", city: "nyc") {{ {FIELDS} }}
  nowhere: geocode(address: "1 Nowhere", city: "nyc") {{ label }}
  boston: geocode(address: "12 Main Street", city: "bos") {{ label provenance {{ source }} }}
  there: reverseGeocode(point: $point) {{ label houseNumber }}
}}"""
AT_HOME = {"latitude": 40.7080, "longitude": -74.0048}


@pytest.fixture
def ask(reaching: Services, actor: Actor) -> Ask:
    return asking(reaching, actor, compiled=True)


async def test_places_come_with_where_they_come_from(ask: Ask) -> None:
    answer = await ask(THREE, point=AT_HOME)
    assert "errors" not in answer, answer
    data: dict[str, Any] = answer["data"]
    [hall] = data["hall"]
    assert (hall["precision"], hall["boroughCode"], hall["provenance"]["source"]) == ("ADDRESS", "1", "geoclient")
    assert hall["provenance"]["stale"] is False
    assert data["nowhere"] == []
    assert data["boston"][0]["provenance"] == {"source": "mapbox"}
    assert data["there"][0]["houseNumber"] == "260"


async def test_a_failure_has_its_path_and_the_rest_its_data(ask: Ask, simulator: Simulator) -> None:
    simulator.faults.add(Fault(kind=Kind.ERROR, system="mapbox"))
    one, other = (f'geocode(address: "260 Broadway", city: "{city}") {{ label }}' for city in ("nyc", "bos"))
    dead = await ask(f"{{ cities {{ slug }} permits {{ totalCount }} a: {one} b: {other} }}")
    [error] = dead["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["b"], "UPSTREAM_ERROR")
    assert dead["data"]["b"] is None
    assert (len(dead["data"]["a"]), len(dead["data"]["cities"]), dead["data"]["permits"]["totalCount"]) == (1, 2, 0)


async def test_a_slow_one_delays_its_own_field_alone(ask: Ask, simulator: Simulator) -> None:
    one, other = (f'geocode(address: "260 Broadway", city: "{city}") {{ label }}' for city in ("nyc", "bos"))
    await ask(f"{{ {one} }}")
    simulator.faults.add(Fault(kind=Kind.LATENCY, seconds=0.2, system="mapbox"))
    with patch("lakefront.domain.answers.PATIENCE", 0.01):
        slow = await ask(f"{{ a: {one} b: {other} }}")
    assert (len(slow["data"]["a"]), slow["data"]["b"]) == (1, None)
    assert [error["path"] for error in slow["errors"]] == [["b"]]
    later = await ask(f"{{ b: {other} }}")
    assert later["data"]["b"]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ('{ geocode(address: "  ") { label } }', "address"),
        ('{ geocode(address: "1 Main Street", city: "atlantis") { label } }', "city"),
        ("{ reverseGeocode(point: {latitude: 91, longitude: 0}) { label } }", "point.latitude"),
    ],
)
async def test_what_cannot_be_is_told_by_its_field(ask: Ask, document: str, field: str) -> None:
    [error] = (await ask(document))["errors"]
    assert error["extensions"]["code"] == "VALIDATION_ERROR"
    assert error["extensions"]["details"][0]["field"] == field


async def test_rights_are_asked_for(ask: Ask) -> None:
    document = '{ geocode(address: "260 Broadway") { label } }'
    assert "errors" not in await ask(document, of_role("citizen"))
    [error] = (await ask(document, of_role("ingest")))["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
