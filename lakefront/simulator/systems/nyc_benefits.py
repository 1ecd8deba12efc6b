"""New York's benefits screening: the integration guide's form (OAuth2), and today's (a token for a user's name)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator.answers import Refusal, as_json, basic, bearer, number, read_form, read_json, read_object
from lakefront.simulator.city import City
from lakefront.simulator.systems.base import SUSPENDED, Door, System

CLIENT: Final = "simulated-client"
SECRET: Final = "simulated-client-secret"  # noqa: S105 - made up
USER: Final = "simulated-user"
PASSWORD: Final = "simulated-password"  # noqa: S105 - made up
SCOPE: Final = "screeningapi.client"

TOKEN_LIFE: Final = 3600
"""Seconds of the city that a token holds."""

MORE: Final = "See API documentation at https://screeningapidocs.cityofnewyork.us for details on valid requests."

FREQUENCIES: Final = {"weekly": 52 / 12, "biweekly": 26 / 12, "semimonthly": 2.0, "monthly": 1.0, "yearly": 1 / 12}
MEMBERS: Final = frozenset(
    {
        *("HeadOfHousehold", "Child", "FosterChild", "StepChild", "Grandchild", "Spouse", "Parent", "FosterParent"),
        *("StepParent", "Grandparent", "SisterBrother", "StepSisterStepBrother", "BoyfriendGirlfriend"),
        *("DomesticPartner", "Unrelated", "Other"),
    }
)


class NycBenefits(System):
    """Nothing of a household is kept, here as there."""

    name = "nyc_benefits"
    title = "NYC Benefits Screening"
    limits: ClassVar[Mapping[str, str]] = {"nyc_benefits": "50/second"}

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self._random = Random(f"{city.seed}/nyc_benefits")
        self._tokens: dict[str, datetime] = {}
        """Tokens, and until when they hold."""

    def routes(self) -> Sequence[Route]:
        """Both forms; the guide's base URL ends in /v1."""
        table = (
            ("/oauth/token", self.oauth_token),
            ("/screen", self.screen),
            ("/authToken", self.auth_token),
            ("/eligibilityPrograms", self.eligibility_programs),
        )
        return [Route(f"{base}{path}", ends, methods=["POST"]) for base in ("", "/v1") for path, ends in table]

    def doors(self) -> Sequence[Door]:
        """Today's form, and the guide's."""
        return [
            Door("today", {"username": USER, "password": PASSWORD}, "nyc"),
            Door("v1", {"username": CLIENT, "password": SECRET}, "nyc", "/v1"),
        ]

    async def oauth_token(self, request: Request) -> Response:
        """``POST /oauth/token``: client credentials, in the form or as Basic."""
        form = dict(await read_form(request))
        client, secret = basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
        if not (self.shows(client, (CLIENT,)) and self.shows(secret, (SECRET,))):
            return as_json({"error": "invalid_client"}, 401, {"www-authenticate": 'Basic realm="screening"'})
        if form.get("grant_type") != "client_credentials":
            return as_json({"error": "unsupported_grant_type"}, 400)
        if SCOPE not in form.get("scope", SCOPE).split():
            return as_json({"error": "invalid_scope"}, 400)
        token = {"access_token": self._issue(), "token_type": "Bearer", "expires_in": TOKEN_LIFE, "scope": SCOPE}
        return as_json(token, headers={"cache-control": "no-store"})

    async def screen(self, request: Request) -> Response:
        """``POST /screen``: a household in, what it may be eligible for out."""
        self._admit(request, bearer(request))
        household = await read_object(request, _failure(400, "The body is no household.", "object.base"))
        return as_json({"eligiblePrograms": list(_programs(household))})

    async def auth_token(self, request: Request) -> Response:
        """``POST /authToken`` with a user's name and password."""
        sent = await read_object(request, _failure(400, "username is required.", "any.required", "username"))
        for name in ("username", "password"):
            if not isinstance(sent.get(name), str):
                return _failure(400, f"{name} is required.", "any.required", name)
        if sent["username"] == SUSPENDED:
            return _failure(403, "The account is suspended.", "forbidden")
        if not (self.shows(sent["username"], (USER,)) and self.shows(sent["password"], (PASSWORD,))):
            return _failure(401, "Incorrect username or password.", "notAuthorized")
        return as_json({"type": "SUCCESS", "token": self._issue()})

    async def eligibility_programs(self, request: Request) -> Response:
        """``POST /eligibilityPrograms`` with a list of households; the token stands alone in ``Authorization``."""
        self._admit(request, request.headers.get("authorization", ""))
        sent = await read_json(request, _failure(400, "The body must be an array.", "array.base"))
        if not isinstance(sent, list) or len(sent) != 1 or not isinstance(sent[0], dict):
            return _failure(400, "The body must be an array of one household composition.", "array.base")
        if (wrong := _wrong(sent[0])) is not None:
            return _failure(400, wrong[0], "any.required", wrong[1])
        wanted = request.query_params.get("interestedPrograms", "")
        programs = [p for p in _programs(sent[0]) if not wanted or p["code"] in wanted.split("|")]
        return as_json({"type": "SUCCESS", "eligiblePrograms": programs})

    def _issue(self) -> str:
        token = f"simulated.{self._random.getrandbits(160):040x}"
        self._tokens[token] = self.city.clock.now() + timedelta(seconds=TOKEN_LIFE)
        return token

    def _admit(self, request: Request, token: str) -> None:
        expires = self._tokens.get(token)
        if expires is None or expires <= self.city.clock.now():
            why = "The token is not valid." if expires is None else "The token has expired."
            raise Refusal(_failure(401, why, "unauthorized"))


def _programs(composition: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What a household may be eligible for, by rules that are much simpler than the city's."""
    people = [person for person in composition.get("person", []) if isinstance(person, dict)]
    income = sum(
        (number(each.get("amount")) or 0) * FREQUENCIES.get(str(each.get("frequency", "")).lower(), 1.0)
        for person in people
        for each in person.get("incomes", []) or []
        if isinstance(each, dict)
    )
    ages = [number(person.get("age")) or 0 for person in people]
    homes = [home for home in composition.get("household", []) if isinstance(home, dict)]
    poor = income <= 1500 + 600 * len(people)
    rules = (
        ("S2R007", "Supplemental Nutrition Assistance Program (SNAP)", poor),
        ("S2R006", "Earned Income Tax Credit (EITC)", 0 < income <= 4500),
        ("S2R022", "Women, Infants and Children (WIC)", poor and any(age < 5 for age in ages)),
        ("S2R016", "Pre-K for All", any(3 <= age <= 4 for age in ages)),
        ("S2R011", "Health Insurance Assistance", income <= 2500 * max(len(people), 1)),
        ("S2R015", "Senior Citizen Rent Increase Exemption (SCRIE)", any(age >= 62 for age in ages) and _rents(homes)),
        ("S2R018", "Veterans' Property Tax Exemption", any(_true(person.get("veteran")) for person in people)),
    )
    return ({"code": code, "name": name} for code, name, eligible in rules if eligible)


def _wrong(composition: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a household composition, and where."""
    household, people = composition.get("household"), composition.get("person")
    if not isinstance(household, list) or len(household) != 1:
        return "household must have one entry.", "0.household"
    if not isinstance(people, list) or not 1 <= len(people) <= 8:
        return "person must have from 1 to 8 entries.", "0.person"
    for place, person in enumerate(people):
        if not isinstance(person, dict) or number(person.get("age")) is None:
            return "age is required.", f"0.person.{place}.age"
        if str(person.get("householdMemberType")) not in MEMBERS:
            return "householdMemberType is required.", f"0.person.{place}.householdMemberType"
    if not any(person["householdMemberType"] == "HeadOfHousehold" for person in people):
        return "One person must be the head of the household.", "0.person"
    return None


def _rents(homes: Sequence[Mapping[str, Any]]) -> bool:
    return any(_true(home.get("livingRenting")) for home in homes)


def _true(value: object) -> bool:
    return value is True or str(value).lower() == "true"


def _failure(status: int, message: str, code: str, place: str | None = None) -> Response:
    error = {"message": message, "moreInfo": MORE, "code": code, "elementPath": place}
    return as_json({"type": "FAILURE", "errors": [error]}, status)
