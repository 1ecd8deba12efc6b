"""New York's benefits screening (C6): a token for a while, and households in, programmes out."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from lakefront.adapters.benefits import (
    BenefitEligibility,
    BenefitScreener,
    Expense,
    Household,
    Income,
    Person,
    check_household,
)
from lakefront.adapters.calls import Request, Response
from lakefront.adapters.calls.tokens import Token
from lakefront.adapters.dto import Wire, found_at

HOUR: Final = 3600.0
"""Seconds that a token holds which does not say."""

_REFUSED: Final = 401


class NycBenefits(BenefitScreener):
    """``today``: a user's token, alone in Authorization. ``v1``: OAuth2 client credentials; its base URL ends in /v1.

    The city is asked to keep nothing of what it is sent.
    """

    provider = "nyc_benefits"
    title = "NYC Benefits Screening"
    default_base_url = "https://screeningapi.cityofnewyork.us"
    api_versions = ("today", "v1")
    credentials: ClassVar = {"username": "user name (v1: client_id)", "password": "password (v1: client_secret)"}
    city_bound = True

    async def screen(self, household: Household, *, trace_id: str = "") -> list[BenefitEligibility]:
        """As every screener. A token that is not taken any more is replaced once."""
        check_household(household)
        composition = _composition(household)
        token = await self._calls.tokens.get(self.endpoint, lambda: self._token(trace_id))
        found = await self._call(self._screening(composition, token, again=True), _programs, trace_id=trace_id)
        if found is None:
            await self._calls.tokens.drop(self.endpoint, token)
            token = await self._calls.tokens.get(self.endpoint, lambda: self._token(trace_id))
            found = await self._call(self._screening(composition, token, again=False), _programs, trace_id=trace_id)
        return found or []

    async def test(self) -> None:
        """Get a token, which nobody uses."""
        await self._token("")

    async def _token(self, trace_id: str) -> Token:
        name, password = self.credential("username"), self.credential("password")
        if self.endpoint.api_version == "today":
            sent = {"username": name, "password": password}
            return await self._call(Request("token", "POST", "/authToken", json=sent), _given, trace_id=trace_id)
        form = (
            ("grant_type", "client_credentials"),
            ("client_id", name),
            ("client_secret", password),
            ("scope", "screeningapi.client"),
        )
        return await self._call(Request("token", "POST", "/oauth/token", form=form), _given, trace_id=trace_id)

    def _screening(self, composition: Mapping[str, Any], token: str, *, again: bool) -> Request:
        # A token may end before its time; only where another one is refused, too, is that an operator's business.
        expected = frozenset({_REFUSED}) if again else frozenset[int]()
        if self.endpoint.api_version == "today":
            path, headers, sent = "/eligibilityPrograms", {"Authorization": token}, [composition]
            return Request("screen", "POST", path, headers=headers, json=sent, expected=expected)
        headers = {"Authorization": f"Bearer {token}"}
        return Request("screen", "POST", "/screen", headers=headers, json=composition, expected=expected)


class _Given(Wire):
    """https://screeningapidocs.cityofnewyork.us, and RFC 6749, 5.1."""

    token: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,8192}$")] = found_at("token", "access_token")
    seconds: Annotated[float, Field(gt=0, le=1e9)] = found_at("expires_in", default=HOUR)


class _Program(Wire):
    code: str = Field(min_length=1, max_length=100)
    name: str = Field(max_length=1000)


class _Programs(Wire):
    programs: list[_Program] = found_at("eligiblePrograms")


def _given(answer: Response) -> Token:
    given = answer.model(_Given)
    return Token(given.token, min(given.seconds, 24 * HOUR))


def _programs(answer: Response) -> list[BenefitEligibility] | None:
    """None: the token is taken no more."""
    if answer.status == _REFUSED:
        return None
    return [
        BenefitEligibility(code=found.code, name=found.name, source=NycBenefits.provider)
        for found in answer.model(_Programs).programs
    ]


def _composition(household: Household) -> dict[str, Any]:
    """As the city has it: numbers and truths as texts."""
    home = {
        "cashOnHand": _dollars(household.cash_on_hand),
        "livingRenting": _truth(household.renting),
        "livingOwner": _truth(household.owner),
        "livingStayingWithFriend": _truth(household.staying_with_friend),
        "livingHotel": _truth(household.hotel),
        "livingShelter": _truth(household.shelter),
        "livingPreferNotToSay": _truth(household.prefer_not_to_say),
    } | ({"livingRentalType": household.rental_type.value} if household.rental_type else {})
    return {"household": [home], "person": [*map(_person, household.persons)], "withholdPayload": "true"}


_TRUTHS: Final = {
    "student": "student",
    "student_fulltime": "studentFulltime",
    "pregnant": "pregnant",
    "unemployed": "unemployed",
    "unemployed_worked_last_18_months": "unemployedWorkedLast18Months",
    "blind": "blind",
    "disabled": "disabled",
    "veteran": "veteran",
    "benefits_medicaid": "benefitsMedicaid",
    "benefits_medicaid_disability": "benefitsMedicaidDisability",
    "living_owner_on_deed": "livingOwnerOnDeed",
    "living_rental_on_lease": "livingRentalOnLease",
}


def _person(person: Person) -> dict[str, Any]:
    return {
        "age": str(person.age),
        "householdMemberType": person.member_type.value,
        **{theirs: _truth(getattr(person, ours)) for ours, theirs in _TRUTHS.items()},
        "incomes": [*map(_item, person.incomes)],
        "expenses": [*map(_item, person.expenses)],
    }


def _item(item: Income | Expense) -> dict[str, str]:
    return {"amount": _dollars(item.amount), "type": item.type.value, "frequency": item.frequency.value}


def _dollars(amount: float) -> str:
    return f"{amount:.2f}"


def _truth(value: bool) -> str:
    return "true" if value else "false"
