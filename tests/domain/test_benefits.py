"""Screening of households: whose city is asked, and what is told of a household that cannot be screened (C6)."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from lakefront.actor import Actor
from lakefront.domain import benefits, integrations
from lakefront.domain.integrations import IntegrationInput
from lakefront.domain.services import Services
from lakefront.errors import Forbidden, NotConfigured, ValidationError
from lakefront.simulator import Simulator
from tests.domain.calling import calling

HOUSEHOLD = benefits.household_of({"persons": [{"age": 35, "member_type": "HeadOfHousehold"}]})


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1) as running:
        yield running


@pytest.fixture
async def reaching(services: Services, actor: Actor, simulator: Simulator) -> AsyncIterator[Services]:
    async with calling(services, actor, simulator, "nyc_benefits") as made:
        yield made


async def test_of_several_cities_one_must_be_named(reaching: Services, actor: Actor, simulator: Simulator) -> None:
    alone = await benefits.screen(reaching, actor, HOUSEHOLD)
    door = next(each for each in simulator.endpoints() if each["provider"] == "nyc_benefits")
    await integrations.upsert(reaching, actor, IntegrationInput(**door | {"city": "bos"}))
    reaching.endpoints.changed()
    with pytest.raises(ValidationError, match="say which"):
        await benefits.screen(reaching, actor, HOUSEHOLD)
    named = [await benefits.screen(reaching, actor, HOUSEHOLD, city) for city in ("nyc", "bos")]
    assert [each.programmes for each in named] == [alone.programmes] * 2
    with pytest.raises(NotConfigured, match="upsertIntegration"):
        await benefits.screen(reaching, actor, HOUSEHOLD, "chi")


async def test_it_needs_its_scope(reaching: Services, actor: Actor, simulator: Simulator) -> None:
    with pytest.raises(Forbidden, match="benefits:screen"):
        await benefits.screen(reaching, replace(actor, scopes=frozenset()), HOUSEHOLD)
    assert simulator.journal.tallies["nyc_benefits"].received == 0


def test_what_is_wrong_is_named_and_not_repeated() -> None:
    person = {"age": 4711, "member_type": "Jane", "incomes": [{"amount": "much"}]}
    with pytest.raises(ValidationError) as raised:
        benefits.household_of({"persons": [person], "cash_on_hand": -4711})
    error = raised.value
    assert {detail["field"] for detail in error.details} >= {
        "household.persons.0.age",
        "household.persons.0.memberType",
        "household.persons.0.incomes.0.amount",
        "household.cashOnHand",
    }
    assert not any(value in f"{error} {error.details}" for value in ("4711", "Jane", "much"))
    assert error.__cause__ is None
    assert error.__context__ is None
