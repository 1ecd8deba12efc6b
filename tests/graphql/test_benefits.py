"""Benefits by GraphQL: a household in by a variable, programmes out, and nothing of it in a log or an error (C6)."""

import logging
from typing import Any

import pytest

from lakefront.actor import BENEFITS_SCREEN, Actor
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from tests.actors import of_role
from tests.graphql.conftest import Ask, asking

PROVIDERS = "nyc_benefits"
ASK = """
query ($household: HouseholdInput!, $city: ID) {
  cities { slug }
  benefitEligibility(household: $household, city: $city) { code name provenance { source stale } }
}"""
HEAD: dict[str, Any] = {
    "age": 35,
    "memberType": "HEAD_OF_HOUSEHOLD",
    "veteran": True,
    "incomes": [{"amount": 4711.5, "type": "VETERAN", "frequency": "YEARLY"}],
    "expenses": [{"amount": 50, "type": "MEDICAL", "frequency": "WEEKLY"}],
}
HOUSEHOLD: dict[str, Any] = {
    "persons": [HEAD, {"age": 3, "memberType": "CHILD"}],
    "cashOnHand": 987654,
    "renting": True,
    "rentalType": "RENT_CONTROLLED",
}


@pytest.fixture
def ask(reaching: Services, actor: Actor) -> Ask:
    return asking(reaching, actor, compiled=True)


async def test_a_household_gets_its_programmes(ask: Ask) -> None:
    for city in ({}, {"city": None}, {"city": "nyc"}):
        answer = await ask(ASK, household=HOUSEHOLD, **city)
        assert "errors" not in answer, answer
        found = answer["data"]["benefitEligibility"]
        assert {each["code"] for each in found} == {"S2R007", "S2R006", "S2R022", "S2R016", "S2R011", "S2R018"}
        assert all(each["provenance"] == {"source": "nyc_benefits", "stale": False} for each in found)


async def test_a_failure_has_its_path_and_tells_nothing_of_the_household(
    ask: Ask, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "lakefront")
    simulator.faults.add(Fault(kind=Kind.ERROR, system="nyc_benefits"))
    answer = await ask(ASK, household=HOUSEHOLD)
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["benefitEligibility"], "UPSTREAM_ERROR")
    assert answer["data"]["benefitEligibility"] is None
    assert len(answer["data"]["cities"]) == 2
    logged = "".join(record.getMessage() for record in caplog.records)
    assert "nyc_benefits" in logged
    for personal in ("4711", "987654", "RentControlled", "RENT_CONTROLLED"):
        assert personal not in f"{error}{logged}"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"persons": []}, "household.persons"),
        ({"persons": [HEAD] * 9}, "household.persons"),
        ({"persons": [HEAD, HEAD]}, "household.persons"),
        ({"persons": [HEAD | {"age": -4711}]}, "household.persons.0.age"),
        ({"persons": [HEAD | {"incomes": HEAD["incomes"] * 51}]}, "household.persons.0.incomes"),
        ({"cashOnHand": -4711}, "household.cashOnHand"),
        ({"renting": False}, "household.rentalType"),
    ],
)
async def test_what_cannot_be_screened_is_told_by_its_fields(
    ask: Ask, simulator: Simulator, caplog: pytest.LogCaptureFixture, change: dict[str, Any], field: str
) -> None:
    answer = await ask(ASK, household=HOUSEHOLD | change)
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "VALIDATION_ERROR"
    assert [detail["field"] for detail in error["extensions"]["details"]] == [field]
    assert "4711" not in f"{error}{caplog.text}"
    assert simulator.journal.tallies["nyc_benefits"].received == 0


@pytest.mark.parametrize(
    "document",
    [
        "{ benefitEligibility(household: {persons: [{age: 3, memberType: CHILD}]}) { code } }",
        "query ($people: [HouseholdPersonInput!]!) { benefitEligibility(household: {persons: $people}) { code } }",
        "query ($home: HouseholdInput! = {persons: []}) { benefitEligibility(household: $home) { code } }",
    ],
)
async def test_a_household_within_the_document_is_refused(ask: Ask, simulator: Simulator, document: str) -> None:
    variables = {"people": [HEAD]} if "$people" in document else {}
    answer = await ask(document, **variables)
    assert "by a variable" in str(answer["errors"][0])
    assert simulator.journal.tallies["nyc_benefits"].received == 0


async def test_a_city_that_does_not_screen_is_not_configured(ask: Ask) -> None:
    for city in ("bos", "atlantis", "\u0000"):
        answer = await ask(ASK, household=HOUSEHOLD, city=city)
        assert answer["errors"][0]["extensions"]["code"] == "NOT_CONFIGURED"


@pytest.mark.parametrize(("role", "may"), [("citizen", True), ("staff", True), ("reader", False), ("monitor", False)])
async def test_who_may_ask(reaching: Services, role: str, may: bool) -> None:
    answer = await asking(reaching, of_role(role), compiled=True)(ASK, household=HOUSEHOLD)
    assert ("errors" not in answer) is may
    if not may:
        assert BENEFITS_SCREEN in answer["errors"][0]["message"]
