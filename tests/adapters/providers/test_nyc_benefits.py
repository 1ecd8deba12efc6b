"""Benefits screening: both forms by their documents, one token for all servers, and nothing of a household anywhere."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
import pytest
from pydantic import ValidationError as FormError
from redis.asyncio import Redis

from lakefront.adapters.benefits import (
    Expense,
    ExpenseType,
    Frequency,
    Household,
    Income,
    IncomeType,
    MemberType,
    Person,
    RentalType,
)
from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.providers.nyc_benefits import NycBenefits
from lakefront.domain.integrations import CredentialKeys, TokenCipher
from lakefront.errors import UpstreamDenied, UpstreamError, ValidationError
from lakefront.simulator import Simulator
from tests.adapters.outside import Outside, told
from tests.adapters.probe import QUICK

HEAD: Final = Person(
    age=35,
    member_type=MemberType.HEAD_OF_HOUSEHOLD,
    veteran=True,
    living_rental_on_lease=True,
    incomes=[Income(amount=200, type=IncomeType.VETERAN, frequency=Frequency.MONTHLY)],
    expenses=[Expense(amount=50.5, type=ExpenseType.MEDICAL, frequency=Frequency.WEEKLY)],
)
HOUSEHOLD: Final = Household(
    persons=[HEAD, Person(age=3, member_type=MemberType.CHILD)],
    cash_on_hand=50_000,
    renting=True,
    rental_type=RentalType.RENT_CONTROLLED,
)
PROGRAM: Final = {"eligiblePrograms": [{"code": "S2R007", "name": "SNAP"}]}
TOKEN: Final = {"token": "t1", "access_token": "t1", "expires_in": 3600}


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside(lambda got: told(TOKEN if "oken" in got.target else PROGRAM)) as server:
        yield server


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(policy=QUICK, loopback=True)
    yield opened
    await opened.close()


def adapter(url: str, version: str, calls: Calls) -> NycBenefits:
    credentials = {"username": "user", "password": "pass"}
    return NycBenefits(Endpoint("city", "nyc_benefits", "nyc", url, version, credentials, None, 1), calls)


def at(city: Simulator, version: str, calls: Calls) -> NycBenefits:
    [door] = [each for each in city.endpoints() if (each["provider"], each["api_version"]) == ("nyc_benefits", version)]
    return NycBenefits(Endpoint(tenant="city", quota_daily=None, version=1, **door), calls)


@pytest.mark.parametrize("version", NycBenefits.api_versions)
async def test_a_household_gets_its_programmes(calls: Calls, version: str) -> None:
    async with Simulator(seed=1) as city:
        screener = at(city, version, calls)
        found = await screener.screen(HOUSEHOLD)
        assert {each.code for each in found} == {"S2R007", "S2R006", "S2R022", "S2R016", "S2R011", "S2R018"}
        assert {each.source for each in found} == {"nyc_benefits"}
        assert await screener.screen(HOUSEHOLD) == found
        assert city.journal.tallies["nyc_benefits"].received == 3


@pytest.mark.parametrize("version", NycBenefits.api_versions)
async def test_a_token_that_ended_before_its_time_is_replaced(
    calls: Calls, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    async with Simulator(seed=1, start=datetime(2026, 5, 28, 14, tzinfo=UTC)) as city:
        screener = at(city, version, calls)
        found = await screener.screen(HOUSEHOLD)
        city.clock.advance(4000)
        assert await screener.screen(HOUSEHOLD) == found
        assert city.journal.tallies["nyc_benefits"].received == 5
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_who_is_refused_with_a_new_token_too_is_denied(outside: Outside, calls: Calls) -> None:
    outside.rule = lambda got: told(TOKEN) if "oken" in got.target else told({}, 401)
    with pytest.raises(UpstreamDenied):
        await adapter(outside.url, "today", calls).screen(HOUSEHOLD)
    assert len(outside.got) == 4


async def test_the_forms_are_those_of_the_documents(outside: Outside, calls: Calls) -> None:
    await adapter(outside.url, "today", calls).screen(HOUSEHOLD)
    token, screen = outside.got
    assert (token.target, orjson.loads(token.body)) == ("/authToken", {"username": "user", "password": "pass"})
    assert (screen.target, screen.headers["authorization"]) == ("/eligibilityPrograms", "t1")
    [composition] = orjson.loads(screen.body)
    [home] = composition["household"]
    assert home.items() >= {
        ("cashOnHand", "50000.00"),
        ("livingRentalType", "RentControlled"),
        ("livingOwner", "false"),
    }
    head, child = composition["person"]
    assert (head["age"], head["householdMemberType"], head["veteran"]) == ("35", "HeadOfHousehold", "true")
    assert head["incomes"] == [{"amount": "200.00", "type": "Veteran", "frequency": "Monthly"}]
    assert head["expenses"] == [{"amount": "50.50", "type": "Medical", "frequency": "Weekly"}]
    assert child["incomes"] == []
    assert composition["withholdPayload"] == "true"


async def test_the_guides_form_has_oauth_and_a_plain_body(outside: Outside, calls: Calls) -> None:
    await adapter(f"{outside.url}/v1", "v1", calls).screen(HOUSEHOLD)
    token, screen = outside.got
    assert token.target == "/v1/oauth/token"
    assert dict(parse_qsl(token.body.decode())) == {
        "grant_type": "client_credentials",
        "client_id": "user",
        "client_secret": "pass",
        "scope": "screeningapi.client",
    }
    assert (screen.target, screen.headers["authorization"]) == ("/v1/screen", "Bearer t1")
    assert orjson.loads(screen.body).keys() == {"household", "person", "withholdPayload"}


@pytest.mark.parametrize(
    ("household", "field"),
    [
        (Household(persons=[Person(age=3, member_type=MemberType.CHILD)]), "household.persons"),
        (Household(persons=[HEAD, HEAD]), "household.persons"),
        (Household(persons=[HEAD], rental_type=RentalType.CONDO), "household.rentalType"),
    ],
)
async def test_a_household_that_is_not_whole_goes_nowhere(
    outside: Outside, calls: Calls, household: Household, field: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        await adapter(outside.url, "today", calls).screen(household)
    assert [detail["field"] for detail in raised.value.details] == [field]
    assert outside.got == []


@pytest.mark.parametrize("wrong", [{"age": -1}, {"age": 151}, {"age": 1, "incomes": [{}]}])
def test_nobody_is_older_than_the_oldest(wrong: dict[str, Any]) -> None:
    with pytest.raises(FormError):
        Person(member_type=MemberType.CHILD, **wrong)


@pytest.mark.parametrize(
    "given", [{}, {"token": ""}, {"token": "a b"}, {"token": "a\n"}, TOKEN | {"expires_in": 0}, {"token": "x" * 9000}]
)
async def test_what_is_no_token_is_an_upstream_error(outside: Outside, calls: Calls, given: Any) -> None:
    outside.rule = lambda _: told(given)
    with pytest.raises(UpstreamError):
        await adapter(outside.url, "today", calls).screen(HOUSEHOLD)


async def test_servers_share_a_token_that_redis_cannot_read(outside: Outside, redis_url: str) -> None:
    cipher = TokenCipher(CredentialKeys.ephemeral())
    outside.rule = lambda got: told({"token": "canary-token"} if "oken" in got.target else PROGRAM)
    async with Redis.from_url(redis_url) as redis:
        servers = [Calls(redis, policy=QUICK, loopback=True, cipher=cipher) for _ in range(3)]
        await asyncio.gather(
            *(adapter(outside.url, "today", server).screen(HOUSEHOLD) for server in servers for _ in range(5))
        )
        kept = [str(await redis.dump(key)) for key in await redis.keys("lakefront:tokens:*")]
        for server in servers:
            await server.close()
    assert [got.target for got in outside.got].count("/authToken") == 1
    assert len(kept) == 1
    assert not any("canary" in each for each in kept)


async def test_nothing_of_a_household_is_told(outside: Outside, calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echoes = {"type": "FAILURE", "errors": [{"message": "age 35 RentControlled", "code": "RentControlled"}]}
    outside.rule = lambda got: told(TOKEN) if "oken" in got.target else told(echoes, 500)
    with pytest.raises(UpstreamError) as raised:
        await adapter(outside.url, "today", calls).screen(HOUSEHOLD)
    logged = "".join(f"{record.getMessage()} {vars(record).get('payload_excerpt')}" for record in caplog.records)
    assert "screen: upstream_error" in logged
    for personal in ("RentControlled", "Veteran", "50000"):
        assert personal not in f"{raised.value} {raised.value.details} {logged}"
    assert f"{HOUSEHOLD!r} {HOUSEHOLD} {HEAD!r} {HEAD}" == "Household()  Person() "
